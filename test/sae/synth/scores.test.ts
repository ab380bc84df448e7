import { expect, it } from 'vitest';
import { matchLatents } from '../../../src/sae/synth/match.js';
import { ScoreSums } from '../../../src/sae/synth/scores.js';
import { fixtures } from './fixtures.js';

const { inputs, saelens } = fixtures.scores;
const [rows, in_dims] = inputs.x.shape;
const [, latents] = inputs.latents.shape;
const [, features] = inputs.feature_acts.shape;

const part = (values: readonly number[], row: number, width: number) =>
  values.slice(row * width, (row + 1) * width);

async function measured() {
  const decoder = Float64Array.from(inputs.decoder.data);
  const match = await matchLatents(decoder, Float64Array.from(inputs.ground_truth.data), in_dims);
  const sums = new ScoreSums(match.best, features, in_dims);
  for (let row = 0; row < rows; row++) {
    const active = part(inputs.feature_acts.data, row, features).flatMap((value, i) =>
      value > 0 ? [i] : [],
    );
    sums.add(
      part(inputs.x.data, row, in_dims),
      part(inputs.x_hat.data, row, in_dims),
      part(inputs.latents.data, row, latents),
      Int32Array.from(active),
    );
  }
  return { match, sums };
}

it('scores are those of SAELens', async () => {
  const { match, sums } = await measured();
  expect(match.mcc).toBeCloseTo(saelens.mcc, 6);
  expect(match.uniqueness).toBe(saelens.uniqueness);
  const { precision, recall, f1, l0, dead, r2, mse, true_l0 } = sums.scores();
  expect(precision).toBeCloseTo(saelens.precision, 10);
  expect(recall).toBeCloseTo(saelens.recall, 10);
  expect(f1).toBeCloseTo(saelens.f1, 10);
  expect(l0).toBeCloseTo(saelens.l0, 12);
  expect(dead).toBe(saelens.dead_latents);
  expect(r2).toBeCloseTo(saelens.explained_variance, 9);
  const errors = inputs.x.data.map((value, i) => (value - inputs.x_hat.data[i]) ** 2);
  expect(mse).toBeCloseTo(errors.reduce((a, b) => a + b) / errors.length, 12);
  expect(true_l0).toBe(inputs.feature_acts.data.filter((value) => value > 0).length / rows);
});

it('each latent has its own, and a dead one 0', async () => {
  const { match, sums } = await measured();
  const { precision, recall, f1 } = sums.detection();
  const column = (values: readonly number[], at: number, width: number) =>
    Array.from({ length: rows }, (_, row) => values[row * width + at] > 0);
  for (let latent = 0; latent < latents; latent++) {
    const active = column(inputs.latents.data, latent, latents);
    const present = column(inputs.feature_acts.data, match.best[latent], features);
    const hits = active.filter((on, row) => on && present[row]).length;
    const [said, there] = [active, present].map((flags) => flags.filter(Boolean).length);
    expect(precision[latent]).toBeCloseTo(said === 0 ? 0 : hits / said, 12);
    expect(recall[latent]).toBeCloseTo(there === 0 ? 0 : hits / there, 12);
    expect(f1[latent]).toBeCloseTo(said + there === 0 ? 0 : (2 * hits) / (said + there), 12);
  }
  expect(precision.filter((value) => value === 0)).toHaveLength(1);
});

it('R² is 0 for the mean row, also far from 0', () => {
  const sums = new ScoreSums(Int32Array.of(0), 1, 2);
  for (const step of [-1, 0, 1]) {
    sums.add([1e6 + step, 1e6 - 2 * step], [1e6, 1e6], [0], new Int32Array(0));
  }
  const { r2, mse, f1 } = sums.scores();
  expect(r2).toBe(0);
  expect(mse).toBeCloseTo(10 / 6, 12);
  expect(f1).toBe(0);
});

it('pairs have the largest sum, whichever side is longer', async () => {
  // The best feature of both latents is the first, and only one can have it.
  const latents = Float64Array.of(1, 0.1, 1, 0.5);
  const truth = Float64Array.of(1, 0, 0, -2, 0.1, 1);
  const cosine = (a: readonly number[], b: readonly number[]) =>
    Math.abs(a[0] * b[0] + a[1] * b[1]) / Math.hypot(...a) / Math.hypot(...b);
  const vectors = (values: Float64Array) =>
    [...values].flatMap((x, i) => (i % 2 ? [] : [[x, values[i + 1]]]));
  const [p, q] = vectors(latents);
  const sums = vectors(truth).flatMap((f, i) =>
    vectors(truth).flatMap((g, j) => (i === j ? [] : [cosine(p, f) + cosine(q, g)])),
  );
  const expected = Math.max(...sums) / 2;
  expect((await matchLatents(latents, truth, 2)).mcc).toBeCloseTo(expected, 6);
  expect((await matchLatents(truth, latents, 2)).mcc).toBeCloseTo(expected, 6);
  // A latent without a direction has a cosine of 0 with everything.
  const { mcc, best } = await matchLatents(Float64Array.of(0, 0), truth, 2);
  expect([mcc, ...best]).toEqual([0, 0]);
});
