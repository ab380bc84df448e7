import { describe, expect, test } from 'vitest';
import type { ModelConfig } from '../../../src/sae/config.js';
import { LatentPictures } from '../../../src/sae/insight/latents.js';
import { Probe } from '../../../src/sae/insight/probe.js';
import { importedOf, modelOf } from '../../../src/sae/model/imported-model.js';
import { Model } from '../../../src/sae/model/model.js';
import { decodeModel, encodeModel, savedModel } from '../../../src/sae/model/saved-model.js';
import { evaluate } from '../../../src/sae/training/evaluate.js';
import { decode, encode } from '../../reference/imported-sae.js';
import { seededRandom } from '../../reference/random.js';
import '../../support/compare.js';
import { gpuOfFile, reals } from '../../support/device.js';
import { floatRows } from '../../support/models.js';

const gpu = await gpuOfFile();

const in_dims = 13;
const latents = 37;
const random = seededRandom(8);
// Few shapes, which take a software adapter long to compile.
const rows = floatRows(reals(random, 8 * in_dims, -1, 1), in_dims);

const topk = { topk: 5, rescale_acts_by_decoder_norm: true } as const;
const shared = { threshold: 'shared', rescale_acts_by_decoder_norm: true } as const;

/** A model whose decoder directions have norms from 0 to 2. */
async function rescaled(selection: ModelConfig['selection']): Promise<Model> {
  const config = { in_dims, h_dims: [latents], activation: 'relu', pre_bias: true, selection } as const;
  const created = await Model.create(gpu, { ...config, h_dims: [latents] }, 3);
  const parameters = await created.parameters();
  created.close();
  const { data } = parameters.get('decoder.0.weight')!;
  const factors = Float32Array.from({ length: latents }, (_, i) => (i === 4 ? 0 : 3 * random()));
  data.forEach((value, i) => {
    data[i] = value * factors[i % latents];
  });
  parameters.get('encoder.0.threshold')?.data.fill(0.3);
  return Model.from(gpu, { ...config, h_dims: [latents] }, parameters);
}

describe.each([
  ['topk', topk],
  ['a threshold', shared],
])('latents times their norms are selected by %s', (kind, selection) => {
  test.each(['by outputs', 'by latents'] as const)('as in float64, with a decoder %s', async (order) => {
    const model = await rescaled(selection);
    await model.storeDecoder(order);
    const saved = await savedModel(model, { normalization: { mean: 0, std: 1 } });
    const sae = {
      ...importedOf({ ...saved, config: { ...saved.config, selection: undefined } }, 'it'),
      rescaled: true,
      activation:
        kind === 'topk'
          ? ({ kind: 'topk', k: 5 } as const)
          : ({ kind: 'batchtopk', threshold: Math.fround(0.3) } as const),
    };
    const code = encode(sae, rows.data as Float32Array);
    const unscaled = encode({ ...sae, rescaled: false }, rows.data as Float32Array);
    expect(code.some((value, i) => value > 0 !== unscaled[i] > 0)).toBe(true);
    const output = decode(sae, code);
    expect(await model.encode(rows)).toBeCloseTensor(code, 1e-5);
    expect(await model.reconstruct(rows)).toBeCloseTensor(output, 1e-5);
    expect(await model.decode(Float32Array.from(code))).toBeCloseTensor(output, 1e-5);
    const probe = await Probe.create(model, 8);
    const { codes, reconstructions } = await probe.reconstruct(rows);
    expect(codes).toBeCloseTensor(code, 1e-5);
    expect(reconstructions).toBeCloseTensor(output, 1e-5);
    probe.close();
    // A latent at 1 draws its direction with norm 1.
    const pictures = await LatentPictures.create(model, 7);
    for (let again = 0; again < 2; again++) {
      const drawings = await pictures.drawings();
      const norms = Array.from({ length: 7 }, (_, i) =>
        Math.hypot(...drawings.subarray(i * in_dims, (i + 1) * in_dims)),
      );
      expect(norms).toBeCloseTensor(
        norms.map((_, i) => (i === 4 ? 0 : 1)),
        1e-5,
      );
    }
    pictures.close();
    const options = kind === 'topk' ? { sparsity: 'topk', k: 5 } : { sparsity: 'batchtopk', k: 5 };
    const { mse, active } = await evaluate<'topk'>(model, rows, { ...options, batch_size: 4 } as never);
    const errors = output.reduce((sum, value, i) => sum + (value - rows.data[i]) ** 2, 0);
    expect([mse, active]).toBeCloseTensor(
      [errors / output.length, code.filter((value) => value > 0).length / 8],
      1e-5,
    );
    model.close();
  });

  test('and saved, exported and imported it is the same', async () => {
    const model = await rescaled(selection);
    const normalization = { mean: 0.2, std: 1.7 };
    const saved = decodeModel(encodeModel(await savedModel(model, { normalization })), 'file');
    expect(saved.config.selection).toEqual(selection);
    const again = await Model.from(gpu, saved.config, saved.parameters);
    const code = await model.encode(rows);
    expect(await again.encode(rows)).toEqual(code);
    // What is exported takes rows that are not normalised, and has directions without norms of their own.
    const raw = (rows.data as Float32Array).map((value) => value * 1.7 + 0.2);
    const exported = importedOf(saved, 'file');
    expect(exported.rescaled).toBeUndefined();
    const output = await model.reconstruct(rows);
    const expected = output.map((value) => value * 1.7 + 0.2);
    expect(decode(exported, encode(exported, raw))).toBeCloseTensor(expected, 1e-5);
    expect(encode(exported, raw)).toBeCloseTensor(code, 1e-5);
    const imported = modelOf({ ...exported, rescaled: true });
    expect(imported.config.selection).toEqual(selection);
    expect(imported.training).toMatchObject({ rescale_acts_by_decoder_norm: true });
    model.close();
    again.close();
  });

  test('until others are selected', async () => {
    const model = await rescaled(selection);
    const code = await model.encode(rows);
    const { rescale_acts_by_decoder_norm: _, ...plain } = selection;
    model.select(plain);
    expect(model.rescaling).toBeUndefined();
    expect(await model.encode(rows)).not.toEqual(code);
    model.select(selection);
    expect(await model.encode(rows)).toEqual(code);
    model.close();
  });
});
