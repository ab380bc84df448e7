import { describe, expect, test } from 'vitest';
import type { ModelConfig } from '../../../src/sae/config.js';
import { DataError } from '../../../src/sae/errors.js';
import { latentActivity } from '../../../src/sae/insight/latents.js';
import { type LatentTop, spreadLatents, topRows } from '../../../src/sae/insight/top-rows.js';
import { Model } from '../../../src/sae/model/model.js';
import { type Dataset, pickRows } from '../../../src/sae/rows/dataset.js';
import { rowSource } from '../../../src/sae/rows/source.js';
import { forward, type ParameterSet } from '../../reference/autoencoder.js';
import { gatherRows } from '../../reference/gather.js';
import { seededRandom } from '../../reference/random.js';
import { gpuOfFile, reals } from '../../support/device.js';
import { byteRows, floatRows, toParameters, toReference } from '../../support/models.js';

const gpu = await gpuOfFile();

/** The same in float64, of all rows at once. */
function reference(config: ModelConfig, parameters: ParameterSet, data: Dataset, top: number): LatentTop[] {
  const { rows, in_dims, normalization } = data;
  const all = Uint32Array.from({ length: rows }, (_, row) => row);
  const x = gatherRows(data.data, in_dims, all, normalization);
  const { hidden } = forward({ ...config, sparsity_lambda: 0, sparsity_target: 0.1 }, parameters, x);
  const width = hidden.length / rows;
  const threshold = config.activation === 'sigmoid' ? 0.5 : 0;
  return Array.from({ length: width }, (_, latent) => {
    const active = [...all]
      .map((row) => ({ row, activation: hidden[row * width + latent] }))
      .filter(({ activation }) => activation > threshold)
      .sort((a, b) => b.activation - a.activation || a.row - b.row);
    return { density: active.length / rows, exciting: active.slice(0, top) };
  });
}

const pick = ({ density, exciting }: LatentTop): LatentTop => ({ density, exciting });

describe.each<[string, ModelConfig]>([
  ['one layer', { in_dims: 9, h_dims: [7], activation: 'relu' }],
  ['sigmoids', { in_dims: 9, h_dims: [6, 5], activation: 'sigmoid' }],
])('top-activating rows of each latent of %s', (_, config) => {
  // Each row is there three times, in different blocks too: ties, of which the lower row comes first.
  const data = pickRows(
    byteRows(200, 9, 3),
    Array.from({ length: 600 }, (_value, row) => (row * 7) % 200),
  );

  test.each([1, 4, 10, 1000])('%d of them', async (top) => {
    const created = await Model.create(gpu, config, 4);
    // One latent is dead.
    const parameters = toReference(await created.parameters());
    created.close();
    const last = `encoder.${2 * (config.h_dims.length - 1)}.bias`;
    parameters[last].data[1] = -99;
    const model = await Model.from(gpu, config, toParameters(parameters));
    const expected = reference(config, parameters, data, top);
    const found = await topRows(model, data, { top });
    model.close();
    expect(found.map(({ density }) => density)).toEqual(expected.map(({ density }) => density));
    expect(found.map(({ exciting }) => exciting.map(({ row }) => row))).toEqual(
      expected.map(({ exciting }) => exciting.map(({ row }) => row)),
    );
    for (const [latent, { exciting }] of found.entries()) {
      for (const [i, { activation }] of exciting.entries()) {
        expect(activation).toBeCloseTo(expected[latent].exciting[i].activation, 5);
      }
    }
    expect(found[1]).toEqual({ density: 0, exciting: [] });
    // There is something to confuse.
    expect(Math.max(...found.map(({ density }) => density))).toBeGreaterThan(0.1);
  });
});

test('rows that are read in several blocks are counted on', async () => {
  const model = await Model.create(gpu, { in_dims: 1024, h_dims: [3] }, 4);
  // 20 MB, of which 16 MiB are a block.
  const data = floatRows(reals(seededRandom(5), 5000 * 1024, -1, 1), 1024);
  const source = rowSource(data);
  const blocks: number[] = [];
  const read = (first: number, end: number) => {
    blocks.push(end - first);
    return source.read(first, end);
  };
  const done: number[] = [];
  const progress = (rows: number) => done.push(rows);
  const found = await topRows(model, { ...source, read }, { top: 16, progress });
  expect(blocks).toEqual([4096, 904]);
  expect([done[0], done.at(-1)]).toEqual([256, 5000]);
  for (const [latent, { density, exciting }] of found.entries()) {
    expect({ density, exciting }).toEqual(pick(await latentActivity(model, data, latent)));
  }
  expect(found.some(({ exciting }) => exciting.some(({ row }) => row >= 4096))).toBe(true);
  await expect(topRows(model, byteRows(5, 3, 1))).rejects.toThrow(DataError);
  const stopped = topRows(model, data, { signal: AbortSignal.abort(new Error('stopped')) });
  await expect(stopped).rejects.toThrow('stopped');
  model.close();
});

test('latents that are spread over the order of their densities, without dead and dense ones', () => {
  const densities = [0, 0.05, 0.11, 0.01, 0.1, 0.05, 0.003, 0.02, 1];
  const latents = densities.map((density) => ({ density }));
  expect(spreadLatents(latents, 10)).toEqual([4, 1, 5, 7, 3, 6]);
  expect(spreadLatents(latents, 3)).toEqual([1, 7, 6]);
  expect(spreadLatents(latents, 1)).toEqual([7]);
  expect(spreadLatents([{ density: 0.5 }, { density: 0 }], 10)).toEqual([]);
});
