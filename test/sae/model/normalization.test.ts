import { describe, expect, test } from 'vitest';
import { ModelFileError } from '../../../src/sae/errors.js';
import { importedOf } from '../../../src/sae/model/imported-model.js';
import { Model } from '../../../src/sae/model/model.js';
import type { Parameters } from '../../../src/sae/model/parameter.js';
import { decodeSafetensors, safetensorsParts } from '../../../src/sae/model/safetensors.js';
import { decodeModel, encodeModel, type SavedModel } from '../../../src/sae/model/saved-model.js';
import { type Dataset, noNormalization, normalizedRows, storedUnits } from '../../../src/sae/rows/dataset.js';
import { fitNormalization } from '../../../src/sae/rows/normalize.js';
import { evaluate } from '../../../src/sae/training/evaluate.js';
import { forward, randomParameters } from '../../reference/autoencoder.js';
import { decode, encode } from '../../reference/imported-sae.js';
import { seededRandom } from '../../reference/random.js';
import '../../support/compare.js';
import { gpuOfFile } from '../../support/device.js';
import {
  byteRows,
  floatRows,
  modelConfig,
  sameParameters,
  toParameters,
  trained,
} from '../../support/models.js';
import { bytesOf } from '../../support/zip-file.js';

const gpu = await gpuOfFile();

const in_dims = 6;
const kinds = ['standardize', 'row', 'zca'] as const;
type Kind = (typeof kinds)[number];

async function rowsOf(kind: Kind): Promise<Dataset> {
  const rows = byteRows(47, in_dims, 3);
  return { ...rows, normalization: await fitNormalization(kind, rows) };
}

const config = { in_dims, h_dims: [9], activation: 'relu' as const, pre_bias: true };
const set = randomParameters(config, seededRandom(4));

async function saved(kind: Kind): Promise<SavedModel> {
  const { normalization } = await rowsOf(kind);
  return { config: modelConfig(config), parameters: toParameters(set), normalization };
}

describe.each(kinds)('%s', (kind) => {
  test('trains, measures, encodes and reconstructs as the rows that it gives do, in windows too', async () => {
    const dataset = await rowsOf(kind);
    const same = floatRows(normalizedRows(dataset), in_dims);
    const options = { batch_size: 8, epochs: 2, seed: 5, sparsity: 'l1', lr: 0.01 } as const;
    const placement = { window_rows: 16 };
    const [one, other] = [
      await trained(gpu, config, dataset, options, placement),
      await trained(gpu, config, same, options, placement),
    ];
    expect(sameParameters(one.parameters, other.parameters)).toBe(true);
    expect(one.epochs[1].loss).toBe(other.epochs[1].loss);
    const model = await Model.from(gpu, modelConfig(config), toParameters(set));
    expect(await evaluate(model, dataset, options)).toEqual(await evaluate(model, same, options));
    expect(await model.encode(dataset)).toEqual(await model.encode(same));
    expect(await model.reconstruct(dataset)).toEqual(await model.reconstruct(same));
    model.close();
  });

  test('is in a file as it was, bit for bit', async () => {
    const before = await saved(kind);
    const after = decodeModel(encodeModel(before), 'file');
    expect(after.normalization).toEqual(before.normalization);
    expect(sameParameters(after.parameters, before.parameters)).toBe(true);
    expect(after.passed_over).toBeUndefined();
  });
});

describe('exported', () => {
  test.each([
    ['standardize', true],
    ['standardize', false],
    ['zca', true],
    ['zca', false],
  ] as const)('%s is in the weights (pre_bias %s)', async (kind, pre_bias) => {
    const dataset = await rowsOf(kind);
    const own = { ...config, pre_bias };
    const { normalization } = dataset;
    const sae = importedOf(
      { config: modelConfig(own), parameters: toParameters(set), normalization },
      'file',
    );
    const raw = Float64Array.from(dataset.data, (value) => value / 255);
    const exact = forward(own, set, Float64Array.from(normalizedRows(dataset)));
    const codes = encode(sae, raw);
    expect(codes).toBeCloseTensor(exact.hidden, 1e-5);
    const output = storedUnits(Float32Array.from(exact.output), dataset);
    expect(decode(sae, codes)).toBeCloseTensor(
      output.map((value) => value / 255),
      1e-5,
    );
  });

  test('row cannot be', async () => {
    const model = await saved('row');
    expect(() => importedOf(model, 'my.safetensors')).toThrow(
      new ModelFileError(
        'my.safetensors normalises each input row by itself (normalize row), which cannot be folded into weights. ' +
          'Write it as ONNX, whose graph has that, or train with another normalize.',
      ),
    );
  });
});

describe('a file is refused', () => {
  const changed = async (
    kind: Kind,
    change: (tensors: Parameters, metadata: Map<string, string>) => void,
  ) => {
    const { tensors, metadata } = decodeSafetensors(encodeModel(await saved(kind)), 'it');
    const fields = new Map(metadata);
    change(tensors, fields);
    return bytesOf(...safetensorsParts({ tensors, metadata: fields }));
  };
  const described = (value: object) => (_: unknown, metadata: Map<string, string>) =>
    metadata.set('normalization', JSON.stringify(value));

  test.each<[string, Kind, (tensors: Parameters, metadata: Map<string, string>) => void, string]>([
    [
      'without an array',
      'standardize',
      (tensors) => tensors.delete('normalization.std'),
      'the tensor normalization.std is missing, and [6] was expected.',
    ],
    [
      'with one of another shape',
      'zca',
      (tensors) => tensors.set('normalization.matrix', tensors.get('normalization.mean')!),
      'the tensor normalization.matrix is [6], and [6, 6] was expected.',
    ],
    [
      'with one too many',
      'row',
      (tensors) => tensors.set('normalization.mean', tensors.get('decoder.0.bias')!),
      'it has a tensor normalization.mean, which its normalization does not have.',
    ],
    [
      'with arrays of two numbers',
      'standardize',
      described(noNormalization),
      'it has a tensor normalization.mean, which its normalization does not have.',
    ],
    [
      'with arrays of nothing',
      'standardize',
      (_, metadata) => metadata.delete('normalization'),
      'it has tensors of a normalization, and no metadata field normalization.',
    ],
    [
      'of a kind that is not known',
      'row',
      described({ kind: 'pca' }),
      'its normalization is of the kind "pca", and standardize, row or zca was expected: a later version may have written it.',
    ],
    [
      'without a number',
      'zca',
      described({ kind: 'zca', rows: 47 }),
      'its normalization zca cannot be undone: a number is missing, or one is not above 0.',
    ],
    [
      'with a deviation of 0',
      'standardize',
      (tensors) => tensors.get('normalization.std')!.data.fill(0, 2, 3),
      'its normalization standardize cannot be undone: a number is missing, or one is not above 0.',
    ],
  ])('%s', async (_, kind, change, sentence) => {
    const bytes = await changed(kind, change);
    expect(() => decodeModel(bytes, 'my.safetensors')).toThrow(
      new ModelFileError(`my.safetensors is not a model that can be read: ${sentence}`),
    );
  });
});

test('rows of floats and of bytes are the same when they are encoded', async () => {
  const { normalization, data } = await rowsOf('zca');
  const floats = floatRows(
    Float32Array.from(data, (value) => value / 255),
    in_dims,
  );
  const model = await Model.from(gpu, modelConfig(config), toParameters(set));
  const codes = await model.encode({ ...floats, normalization });
  expect(codes).toBeCloseTensor(await model.encode(await rowsOf('zca')), 1e-5);
  model.close();
});
