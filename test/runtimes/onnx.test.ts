import { beforeAll, describe, expect, test } from 'vitest';
import type { SaeFiles } from '../../src/sae/model/formats/index.js';
import { modelOf } from '../../src/sae/model/imported-model.js';
import { Model } from '../../src/sae/model/model.js';
import { onnxFiles } from '../../src/sae/model/onnx/onnx.js';
import { type Normalization, normalizedRows, storedUnits } from '../../src/sae/rows/dataset.js';
import { fitNormalization } from '../../src/sae/rows/normalize.js';
import {
  forward,
  latentNorms,
  type ParameterSet,
  type ReferenceConfig,
  randomParameters,
  thresholdOf,
} from '../reference/autoencoder.js';
import { seededRandom } from '../reference/random.js';
import '../support/compare.js';
import { gpuOfFile, reals } from '../support/device.js';
import { formatFixture, importBytes } from '../support/imported.js';
import { floatRows, modelConfig, toParameters } from '../support/models.js';
import { bytesOf } from '../support/zip-file.js';

/** The part of onnxruntime-web that is used here; it may be not installed, types included. */
interface Runtime {
  readonly env: { readonly wasm: { numThreads?: number }; logLevel?: string };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => unknown;
  readonly InferenceSession: { create(model: Uint8Array, options?: object): Promise<Session> };
}
interface Values {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}
interface Session {
  readonly inputMetadata: readonly object[];
  readonly outputMetadata: readonly object[];
  run(inputs: Record<string, unknown>): Promise<{ codes: Values; reconstruction: Values }>;
}

const name: string = 'onnxruntime-web';
const runtime: Runtime | undefined = await import(/* @vite-ignore */ name).catch(() => undefined);
if (!runtime) {
  console.log('The tests in ONNX Runtime are skipped: there is none in test/runtimes/node_modules.');
}

function open(files: SaeFiles): Promise<Session> {
  const [model, data] = ['model.onnx', 'model.onnx.data'].map((file) => files.get(file));
  const externalData = data && [{ path: 'model.onnx.data', data: bytesOf(...data) }];
  return runtime!.InferenceSession.create(bytesOf(...model!), externalData && { externalData });
}

async function run(session: Session, x: Float32Array, in_dims: number) {
  const rows = x.length / in_dims;
  return session.run({ x: new runtime!.Tensor('float32', x, [rows, in_dims]) });
}

const gpu = await gpuOfFile();
const in_dims = 10;
const rows = 37;

describe.runIf(runtime)('in ONNX Runtime, codes and reconstructions are those of the model', () => {
  beforeAll(() => {
    runtime!.env.wasm.numThreads = 1;
    runtime!.env.logLevel = 'error';
  });

  /** A model of these weights runs there, here and in float64 alike. */
  async function check(
    config: ReferenceConfig,
    set: ParameterSet,
    normalization: Normalization,
    x: Float32Array<ArrayBuffer>,
    most?: number,
  ): Promise<SaeFiles> {
    const saved = { config: modelConfig(config), parameters: toParameters(set), normalization };
    const files = onnxFiles(saved, most);
    const session = await open(files);
    const latents = config.h_dims[config.h_dims.length - 1];
    const value = (of: string, width: number) => ({
      name: of,
      isTensor: true,
      type: 'float32',
      shape: ['batch', width],
    });
    expect(session.inputMetadata).toEqual([value('x', in_dims)]);
    expect(session.outputMetadata).toEqual([value('codes', latents), value('reconstruction', in_dims)]);
    const { codes, reconstruction } = await run(session, x, in_dims);
    expect([codes.dims, reconstruction.dims]).toEqual([
      [rows, latents],
      [rows, in_dims],
    ]);

    const dataset = { ...floatRows(x, in_dims), normalization };
    const model = await Model.from(gpu, saved.config, saved.parameters);
    expect(codes.data).toBeCloseTensor(await model.encode(dataset), 1e-5);
    const reconstructed = storedUnits(await model.reconstruct(dataset), dataset);
    expect(reconstruction.data).toBeCloseTensor(reconstructed, 1e-5);
    model.close();

    const exact = forward(config, set, Float64Array.from(normalizedRows(dataset)));
    const norms = latentNorms(config, set['decoder.0.weight']);
    const code = exact.hidden.map((latent, i) => latent * norms[i % norms.length]);
    expect(codes.data).toBeCloseTensor(code, 1e-5);
    const output = storedUnits(Float32Array.from(exact.output), dataset);
    expect(reconstruction.data).toBeCloseTensor(output, 1e-5);
    return files;
  }

  const none = { mean: 0, std: 1 };
  const some = { mean: 1.5, std: 0.25 };
  const centred = { h_dims: [21], activation: 'relu', pre_bias: true } as const;

  test.each<[string, Omit<ReferenceConfig, 'in_dims'>, typeof none]>([
    ['one layer', { h_dims: [21], activation: 'relu' }, none],
    ['one layer, normalised', { h_dims: [21], activation: 'relu' }, some],
    ['centred', centred, none],
    ['centred, normalised', centred, some],
    ['three layers of sigmoids', { h_dims: [9, 7, 5], activation: 'sigmoid' }, some],
    ['two layers, TopK', { h_dims: [9, 30], activation: 'relu', sparsity: 'topk', k: 3 }, none],
    ['TopK, centred, normalised', { ...centred, sparsity: 'topk', k: 4 }, some],
    [
      'TopK of latents times norms, normalised',
      { ...centred, sparsity: 'topk', k: 4, rescale_acts_by_decoder_norm: true },
      some,
    ],
    [
      'one threshold for latents times norms',
      { ...centred, sparsity: 'batchtopk', trained: true, rescale_acts_by_decoder_norm: true },
      none,
    ],
    ['a threshold for each', { ...centred, sparsity: 'jumprelu' }, some],
    ['one threshold', { h_dims: [9, 30], activation: 'relu', sparsity: 'batchtopk', trained: true }, none],
  ])('%s', async (_, shape, normalization) => {
    const config = { ...shape, in_dims };
    const set = randomParameters(config, seededRandom(8));
    const { selection } = modelConfig(config);
    if (selection && 'threshold' in selection) {
      const length = selection.threshold === 'each' ? shape.h_dims[shape.h_dims.length - 1] : 1;
      // Some below 0, which act as 0.
      const data = Float64Array.from({ length }, (_, i) => Math.fround(i % 3 === 2 ? -0.2 : 0.2));
      set[thresholdOf(config)] = { shape: [length], data };
    }
    const x = reals(seededRandom(9), rows * in_dims, -1, 1).map(
      (value) => value * normalization.std + normalization.mean,
    );
    const files = await check(config, set, normalization, x);
    expect([...files.keys()]).toEqual(['model.onnx']);
  });

  test.each(['standardize', 'row', 'zca'] as const)('normalised by %s', async (kind) => {
    for (const pre_bias of [true, false]) {
      const config = { in_dims, h_dims: [21], activation: 'relu', pre_bias } as const;
      const x = reals(seededRandom(13), rows * in_dims, -1, 4);
      if (kind === 'row') x.fill(0, 0, in_dims);
      const normalization = await fitNormalization(kind, floatRows(x, in_dims));
      await check(config, randomParameters(config, seededRandom(14)), normalization, x);
    }
  });

  test('TopK keeps the first of latents that are equal, and may keep all', async () => {
    const random = seededRandom(10);
    const whole = (length: number) => Float64Array.from({ length }, () => Math.floor(random() * 3) - 1);
    for (const k of [2, 5, 24]) {
      const config = { in_dims, h_dims: [24], activation: 'relu', sparsity: 'topk', k } as const;
      const set = {
        'encoder.0.weight': { shape: [24, in_dims], data: whole(24 * in_dims) },
        'encoder.0.bias': { shape: [24], data: whole(24) },
        'decoder.0.weight': { shape: [in_dims, 24], data: whole(24 * in_dims) },
        'decoder.0.bias': { shape: [in_dims], data: whole(in_dims) },
      };
      // Sums of whole numbers are exact, so that many latents are equal.
      await check(config, set, none, Float32Array.from(whole(rows * in_dims)));
    }
  });

  test('weights beyond the size of a file are in one beside it', async () => {
    const config = { in_dims, h_dims: [21], activation: 'relu', sparsity: 'topk', k: 4 } as const;
    const set = randomParameters(config, seededRandom(11));
    const x = reals(seededRandom(12), rows * in_dims, -1, 1);
    const files = await check(config, set, some, x, 100);
    expect([...files.keys()].sort()).toEqual(['model.onnx', 'model.onnx.data']);
    expect(bytesOf(...files.get('model.onnx.data')!)).toHaveLength(4 * 2 * 21 * in_dims);
  });

  test.each(['saelens_topk_inference', 'dl_standard_april', 'openai_relu_tied'])(
    '%s, and those of the program that saved it',
    async (fixture) => {
      const { files, x, expected } = formatFixture(fixture);
      const sae = await importBytes(files);
      const { codes, reconstruction } = await run(await open(onnxFiles(modelOf(sae))), x, sae.in_dims);
      expect(codes.data).toBeCloseTensor(expected.encode.data, 1e-5);
      expect(reconstruction.data).toBeCloseTensor(expected.decode.data, 1e-5);
    },
  );
});
