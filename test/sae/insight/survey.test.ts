import { describe, expect, test } from 'vitest';
import type { ModelConfig } from '../../../src/sae/config.js';
import { DataError } from '../../../src/sae/errors.js';
import { findLatents, latentOrders, orderedLatents } from '../../../src/sae/insight/latent-list.js';
import { LatentSurvey, surveyLatents } from '../../../src/sae/insight/survey.js';
import { Model } from '../../../src/sae/model/model.js';
import { pickRows } from '../../../src/sae/rows/dataset.js';
import { forward } from '../../reference/autoencoder.js';
import { gatherRows } from '../../reference/gather.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, toParameters, toReference } from '../../support/models.js';

const gpu = await gpuOfFile();

describe.each<[string, ModelConfig]>([
  ['one layer', { in_dims: 9, h_dims: [7], activation: 'relu' }],
  ['sigmoids', { in_dims: 9, h_dims: [6, 5], activation: 'sigmoid' }],
])('a survey of the latents of %s', (_, config) => {
  // Each row is there three times: ties, of which the lower row comes first whatever order they are encoded in.
  const data = pickRows(
    byteRows(200, 9, 3),
    Array.from({ length: 600 }, (_value, row) => (row * 7) % 200),
  );
  const threshold = config.activation === 'sigmoid' ? 0.5 : 0;

  test('knows of each block before the next one, and in the end of all rows', async () => {
    const created = await Model.create(gpu, config, 4);
    const parameters = toReference(await created.parameters());
    created.close();
    // One latent is dead.
    parameters[`encoder.${2 * (config.h_dims.length - 1)}.bias`].data[1] = -99;
    const model = await Model.from(gpu, config, toParameters(parameters));
    const all = Uint32Array.from({ length: 600 }, (_value, row) => row);
    const x = gatherRows(data.data, 9, all, data.normalization);
    const { hidden } = forward({ ...config, sparsity_lambda: 0, sparsity_target: 0.1 }, parameters, x);

    const measured: number[] = [];
    let survey: LatentSurvey | undefined;
    for await (const now of surveyLatents(model, data, { top: 5 })) {
      survey = now;
      measured.push(now.measured);
      expect(now.complete).toBe(now.measured === 600);
      // A share of the rows so far, whatever rows these are.
      expect((now.density(0) * now.measured) % 1).toBeCloseTo(0, 9);
    }
    expect(measured).toEqual([256, 512, 600]);
    for (let latent = 0; latent < model.hidden; latent++) {
      const own = [...all].map((row) => ({ row, activation: hidden[row * model.hidden + latent] }));
      const active = own.filter(({ activation }) => activation > threshold);
      active.sort((a, b) => b.activation - a.activation || a.row - b.row);
      const { density, mean, max, histogram, exciting } = survey!.of(latent);
      expect([density, survey!.density(latent)]).toEqual([active.length / 600, active.length / 600]);
      const sum = active.reduce((total, { activation }) => total + activation, 0);
      expect(mean).toBeCloseTo(active.length ? sum / active.length : 0, 5);
      expect(max).toBeCloseTo(
        own.reduce((most, { activation }) => Math.max(most, activation), 0),
        5,
      );
      expect(survey!.max(latent)).toBe(max);
      expect(exciting).toEqual(survey!.exciting(latent));
      expect(exciting.map(({ row }) => row)).toEqual(active.slice(0, 5).map(({ row }) => row));
      exciting.forEach(({ activation }, i) => {
        expect(activation).toBeCloseTo(active[i].activation, 5);
      });
      const { counts, from, width } = histogram;
      expect(from).toBe(threshold);
      expect(counts.reduce((total, count) => total + count, 0)).toBe(active.length);
      if (active.length > 0) {
        // It ends where activations end, and has not much fewer bins than there are.
        expect(counts.at(-1)).toBeGreaterThan(0);
        expect(counts.length).toBeGreaterThanOrEqual(24);
        expect(from + counts.length * width).toBeGreaterThanOrEqual(max * (1 - 1e-6));
      }
      // A value that rounds over an edge may be in the next bin.
      let passed = 0;
      counts.forEach((count, i) => {
        passed += count;
        const below = (offset: number) =>
          active.filter(({ activation }) => activation < from + (i + 1) * width + offset).length;
        expect(passed).toBeGreaterThanOrEqual(below(-1e-5));
        expect(passed).toBeLessThanOrEqual(below(1e-5) + (i === counts.length - 1 ? 1 : 0));
      });
    }
    const none = { density: 0, mean: 0, max: 0, exciting: [] };
    expect(survey!.of(1)).toEqual({ ...none, histogram: { counts: [], from: threshold, width: 0 } });
    const silent = Array.from({ length: model.hidden }, (_value, i) => i).filter((latent) =>
      [...all].every((row) => hidden[row * model.hidden + latent] <= threshold),
    );
    expect(survey!.dead()).toEqual(silent);
    expect(silent).toContain(1);
    await expect(surveyLatents(model, byteRows(5, 3, 1)).next()).rejects.toThrow(DataError);
    model.close();
    expect(gpu.allocatedBytes).toBe(0);
  });
});

describe('a list of latents', () => {
  const survey = new LatentSurvey(12, 4, 0, 2);
  // Latent 3 is dead; 0 is rarer and stronger than 5, and 7 as 5 is.
  const codes = [
    [9, 0.5, 0.5, 0, 0.5, 1, 0.5, 1, 0.5, 0.5, 0.5, 0.5],
    [0, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 0],
  ];
  survey.add(Float32Array.from(codes.flat()), Uint32Array.from(codes.keys()));

  test('by number, by density and by strength, dead ones last', () => {
    const others = [1, 2, 4, 6, 8, 9, 10, 11];
    expect(latentOrders.map((order) => orderedLatents(survey, order))).toEqual([
      Array.from({ length: 12 }, (_, latent) => latent),
      [5, 7, 0, ...others, 3],
      [0, 5, 7, ...others, 3],
    ]);
  });

  test('is searched by numbers from 1 and by words, the exact ones first', () => {
    const latents = orderedLatents(survey, 'density');
    const words = (latent: number) => [['Paris', '1'], ['parish'], ['comparison']][latent] ?? [];
    expect(findLatents(latents, '', words)).toEqual(latents);
    expect(findLatents(latents, ' 12 ', words)).toEqual([11]);
    // Latents 1 (by its number and by a word), 10, 11 and 12.
    expect(findLatents(latents, '1', words)).toEqual([0, 9, 10, 11]);
    expect(findLatents(latents, 'par', words)).toEqual([0, 1]);
    expect(findLatents(latents, 'PARISH', words)).toEqual([1]);
    expect(findLatents(latents, 'x', words)).toEqual([]);
  });
});
