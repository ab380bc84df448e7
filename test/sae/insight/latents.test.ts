import { describe, expect, test } from 'vitest';
import type { ModelConfig } from '../../../src/sae/config.js';
import { DataError } from '../../../src/sae/errors.js';
import { LatentPictures, latentActivity, latentDensities } from '../../../src/sae/insight/latents.js';
import { Model } from '../../../src/sae/model/model.js';
import { forward, type ParameterSet } from '../../reference/autoencoder.js';
import { gatherRows } from '../../reference/gather.js';
import { gemmNN } from '../../reference/gemm.js';
import '../../support/compare.js';
import { gpuOfFile, withLimits } from '../../support/device.js';
import { byteRows, toParameters, toReference } from '../../support/models.js';

const gpu = await gpuOfFile();
const penalty = { sparsity_lambda: 0.2, sparsity_target: 0.05 };
const configs: [string, ModelConfig][] = [
  ['one layer', { in_dims: 9, h_dims: [7], activation: 'relu' }],
  ['three layers', { in_dims: 10, h_dims: [13, 6, 5], activation: 'relu' }],
  ['sigmoid', { in_dims: 9, h_dims: [6, 5], activation: 'sigmoid' }],
];

/** Uses a model, and frees it. */
async function using(config: ModelConfig, use: (model: Model, parameters: ParameterSet) => Promise<void>) {
  const model = await Model.create(gpu, config, 4);
  try {
    await use(model, toReference(await model.parameters()));
  } finally {
    model.close();
  }
}

test('so many latents that few rows of them fit into a buffer', async () => {
  await using({ in_dims: 9, h_dims: [400], activation: 'relu' }, async (model) => {
    const data = byteRows(300, 9, 5);
    const chosen = [...Array(300).keys()];
    const looks = async () => [
      await latentActivity(model, data, 7),
      await latentDensities(model, data, chosen),
    ];
    const expected = await looks();
    expect(await withLimits(gpu, { maxStorageBufferBindingSize: 64 * 400 * 4 }, looks)).toEqual(expected);
  });
});

describe.each(configs)('the activity of a latent of %s', (_, config) => {
  test.each([1, 3, 600])('in %d rows', async (rows) => {
    const data = byteRows(rows, config.in_dims, rows);
    await using(config, async (model, parameters) => {
      const all = Uint32Array.from({ length: rows }, (_value, i) => i);
      const x = gatherRows(data.data, config.in_dims, all, data.normalization);
      const { hidden } = forward({ ...config, ...penalty }, parameters, x);
      const threshold = config.activation === 'sigmoid' ? 0.5 : 0;
      const densities: number[] = [];
      for (let latent = 0; latent < model.hidden; latent++) {
        const { density, mean, max, histogram, exciting } = await latentActivity(model, data, latent, {
          bins: 5,
          top: 4,
        });
        const own = [...all].map((row) => ({ row, activation: hidden[row * model.hidden + latent] }));
        const active = own.filter(({ activation }) => activation > threshold);
        active.sort((a, b) => b.activation - a.activation);
        densities.push(density);
        expect(density).toBeCloseTo(active.length / rows, 12);
        const sum = active.reduce((total, { activation }) => total + activation, 0);
        expect(mean).toBeCloseTo(active.length ? sum / active.length : 0, 5);
        expect(max).toBeCloseTo(Math.max(...own.map(({ activation }) => activation)), 5);
        expect(exciting.map(({ row }) => row)).toEqual(active.slice(0, 4).map(({ row }) => row));
        for (const [i, { activation }] of exciting.entries()) {
          expect(activation).toBeCloseTo(active[i].activation, 5);
        }
        const { counts, from, width } = histogram;
        expect(counts.reduce((total, count) => total + count)).toBe(active.length);
        expect(from).toBe(threshold);
        // Bins that are counted here; a value that rounds over an edge may be in the next one.
        let before = 0;
        let passed = 0;
        for (const [i, count] of counts.entries()) {
          passed += count;
          const edge = from + (i + 1) * width;
          const below = (offset: number) =>
            active.filter(({ activation }) => activation < edge + offset).length;
          if (i < counts.length - 1) {
            expect(passed).toBeGreaterThanOrEqual(below(-1e-5));
            expect(passed).toBeLessThanOrEqual(below(1e-5));
          }
          expect(passed).toBeGreaterThanOrEqual(before);
          before = passed;
        }
      }
      // All at once, and of some rows.
      expect([...(await latentDensities(model, data, [...all]))]).toEqual(densities);
      const some = [...all].filter((row) => row % 3 === 0).reverse();
      const share = (latent: number) =>
        some.filter((row) => hidden[row * model.hidden + latent] > threshold).length;
      expect([...(await latentDensities(model, data, some))]).toEqual(
        densities.map((_density, latent) => share(latent) / some.length),
      );
      if (rows === 600) {
        expect(Math.max(...densities)).toBeGreaterThan(0.1);
      }
    });
  });
});

test('a dead latent has no activity, and rows of another width are refused', async () => {
  const config: ModelConfig = { in_dims: 4, h_dims: [3], activation: 'relu' };
  await using(config, async (model, parameters) => {
    const dead = { ...parameters, 'encoder.0.bias': { shape: [3], data: Float64Array.of(-99, 0, 0) } };
    const changed = await Model.from(gpu, config, toParameters(dead));
    expect(await latentActivity(changed, byteRows(5, 4, 1), 0)).toEqual({
      density: 0,
      mean: 0,
      max: 0,
      histogram: { counts: Array(24).fill(0), from: 0, width: 0 },
      exciting: [],
    });
    changed.close();
    await expect(latentActivity(model, byteRows(5, 3, 1), 0)).rejects.toThrow(DataError);
    await expect(latentDensities(model, byteRows(5, 3, 1), [0])).rejects.toThrow(DataError);
    const stopped = latentActivity(model, byteRows(900, 4, 1), 0, {
      signal: AbortSignal.abort(new Error('stopped')),
    });
    await expect(stopped).rejects.toThrow('stopped');
  });
});

describe.each(configs)('pictures of the latents of %s', (_, config) => {
  const { in_dims } = config;
  const hidden = config.h_dims[config.h_dims.length - 1];

  test.each([hidden, 3, 1])('%d at a time', async (count) => {
    await using(config, async (model, parameters) => {
      let product = parameters['encoder.0.weight'].data;
      for (const [i, width] of config.h_dims.entries()) {
        if (i > 0) {
          const weight = parameters[`encoder.${2 * i}.weight`].data;
          product = gemmNN(weight, product, width, in_dims, config.h_dims[i - 1]);
        }
      }
      const pictures = await LatentPictures.create(model, count);
      const before = gpu.allocatedBytes;
      for (const first of [0, hidden - 2, 0].filter((latent) => latent >= 0)) {
        const end = Math.min(hidden, first + count);
        const [weights, drawings] = await Promise.all([pictures.weights(first), pictures.drawings(first)]);
        expect(weights).toBeCloseTensor(product.subarray(first * in_dims, end * in_dims), 1e-5);
        // The decoder of the model itself, which other tests compare with the reference.
        const codes = new Float32Array((hidden + 1) * hidden);
        for (let latent = 0; latent < hidden; latent++) {
          codes[latent * hidden + latent] = 1;
        }
        const decoded = await model.decode(codes);
        const expected = drawings.map(
          (_value, i) => decoded[first * in_dims + i] - decoded[hidden * in_dims + (i % in_dims)],
        );
        expect(drawings).toHaveLength((end - first) * in_dims);
        expect(drawings).toBeCloseTensor(expected, 1e-5);
        if (config.h_dims.length === 1) {
          const columns = parameters['decoder.0.weight'].data;
          const column = drawings.map(
            (_value, i) => columns[(i % in_dims) * hidden + first + Math.floor(i / in_dims)],
          );
          expect(drawings).toBeCloseTensor(column, 1e-5);
        }
      }
      // Any of them, in any order, after others and before them.
      const some = [hidden - 1, 0, 2].slice(0, count);
      const picked = await Promise.all([pictures.weights(some), pictures.drawings(some)]);
      const whole = await LatentPictures.create(model);
      const each = [await whole.weights(), await whole.drawings()];
      whole.close();
      picked.forEach((found, kind) => {
        const rows = some.map((latent) => [...each[kind].subarray(latent * in_dims, (latent + 1) * in_dims)]);
        expect(found).toBeCloseTensor(rows.flat(), 1e-6);
      });
      expect(await pictures.drawings(0)).toBeCloseTensor(each[1].subarray(0, count * in_dims), 1e-6);
      // From weights that lie by latents, too.
      await model.storeDecoder('by latents');
      const again = await LatentPictures.create(model, count);
      expect(await again.drawings(some)).toBeCloseTensor(picked[1], 1e-6);
      again.close();
      expect(gpu.allocatedBytes).toBe(before);
      pictures.close();
    });
  });
});
