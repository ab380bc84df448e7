import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ActivitySums } from '../../../src/sae/insight/evaluation/activity.js';
import { ClassCounts, classesOf } from '../../../src/sae/insight/evaluation/classes.js';
import { decoderDirections, nearestLatents } from '../../../src/sae/insight/evaluation/directions.js';
import { evaluation } from '../../../src/sae/insight/evaluation/evaluation.js';
import { FidelitySums } from '../../../src/sae/insight/evaluation/fidelity.js';
import { logisticRegression, SparseProbes } from '../../../src/sae/insight/evaluation/sparse-probe.js';
import { Model } from '../../../src/sae/model/model.js';
import { rowSource } from '../../../src/sae/rows/source.js';
import { seededRandom } from '../../reference/random.js';
import '../../support/compare.js';
import { gpuOfFile, reals } from '../../support/device.js';

const gpu = await gpuOfFile();
const read = (name: string) =>
  JSON.parse(
    readFileSync(fileURLToPath(new URL(`../../fixtures/evaluation/${name}`, import.meta.url)), 'utf8'),
  );
const libraries = read('libraries.json');
const { columns, latents } = libraries;
const [x, x_hat, codes] = ['x', 'x_hat', 'codes'].map((name) => Float32Array.from(libraries[name]));
const rows = x.length / columns;

/** Blocks of some rows each, as they come from a file. */
function inBlocks(add: (from: number, end: number) => void): void {
  for (let from = 0; from < rows; from += 37) add(from, Math.min(rows, from + 37));
}

describe('figures of other libraries', () => {
  const mean = Float64Array.from({ length: columns }, (_, j) => {
    let sum = 0;
    for (let i = j; i < x.length; i += columns) sum += x[i];
    return sum / rows;
  });
  const sums = new FidelitySums(columns, mean);
  const activity = new ActivitySums(latents, 0);
  inBlocks((from, end) => {
    sums.add(x.subarray(from * columns, end * columns), x_hat.subarray(from * columns, end * columns));
    activity.add(codes.subarray(from * latents, end * latents));
  });
  const { fidelity, otherVariances } = sums;
  const { dictionary_learning, saelens, sparsify, overcomplete, saev } = libraries;

  test.each([
    ['explained variance, SAELens', fidelity.explained_variance, saelens.explained_variance],
    ['explained variance, sparsify', fidelity.explained_variance, 1 - sparsify.fvu],
    ['explained variance, saev', fidelity.explained_variance, 1 - saev.normalized_mse],
    ['legacy explained variance, SAELens', otherVariances.saelens_legacy, saelens.explained_variance_legacy],
    [
      'variance explained, dictionary_learning',
      otherVariances.dictionary_learning,
      dictionary_learning.frac_variance_explained,
    ],
    ['r2_score, overcomplete', otherVariances.overcomplete, overcomplete.r2_score],
    ['explained variance in training, saev', otherVariances.saev, saev.explained_variance],
    ['cosine similarity, dictionary_learning', fidelity.cosine_similarity, dictionary_learning.cossim],
    ['shrinkage, SAELens', fidelity.shrinkage, saelens.shrinkage],
    ['ratio of norms, dictionary_learning', fidelity.shrinkage, dictionary_learning.l2_ratio],
    [
      'relative reconstruction bias, dictionary_learning',
      fidelity.relative_reconstruction_bias,
      dictionary_learning.relative_reconstruction_bias,
    ],
    ['L0, dictionary_learning', activity.figures.active, dictionary_learning.l0],
    ['L0, SAELens', activity.figures.active, saelens.l0],
    ['L1, dictionary_learning', activity.figures.l1, dictionary_learning.l1_loss],
    ['share of latents alive', 1 - activity.figures.dead / latents, dictionary_learning.frac_alive],
    ['dead latents, SAELens', activity.figures.dead, saelens.dead_latents],
  ])('%s', (_, ours, theirs) => {
    expect(Math.abs(ours / theirs - 1)).toBeLessThan(1e-6);
  });

  test('quantiles of L0 and densities add up to the codes', () => {
    const { active_quantiles, densities, dead } = activity.figures;
    const counted = Array.from({ length: rows }, (_, row) => {
      return codes.subarray(row * latents, (row + 1) * latents).filter((value) => value > 0).length;
    }).sort((a, b) => a - b);
    for (const [share, value] of Object.entries(active_quantiles)) {
      expect(value).toBe(counted[Math.max(0, Math.ceil(Number(share) * rows) - 1)]);
    }
    expect(densities.counts.reduce((a, b) => a + b) + dead).toBe(latents);
    for (const [i, latentCount] of densities.counts.entries()) {
      const inBin = activity.latents.filter(({ density }) => {
        return density > densities.edges[i] && density <= densities.edges[i + 1];
      });
      expect(inBin.length).toBe(latentCount);
    }
  });
});

test.each(
  read('logistic.json').cases as { latents: number[]; column: number; above: number; weights: number[] }[],
)(
  'a logistic regression is that of scikit-learn: latents $latents',
  async ({ latents: chosen, column, above, weights }) => {
    const inputs = Array.from({ length: rows }, (_, row) =>
      Float64Array.from(chosen, (i) => codes[row * latents + i]),
    );
    const told = inputs.map((_, row) => libraries.x[row * columns + column] > above);
    expect(await logisticRegression(inputs, told)).toBeCloseTensor(weights, 1e-4);
  },
);

test('a latent predicts the label with the best F1 of those that it tells better than chance, counted by hand', () => {
  const labels = [...Array(140).fill('a'), ...Array(40).fill('b'), ...Array(20).fill('c')];
  const between = (from: number, end: number) => (row: number) => row >= from && row < end;
  const active: ((row: number) => boolean)[] = [
    between(0, 30),
    // All rows: 70% are of a, as of any rows.
    () => true,
    // 70% of a as well, half of them; all of c, which are twice as frequent there as anywhere.
    (row) => between(0, 70)(row) || between(140, 150)(row) || between(180, 200)(row),
    () => false,
    // One row says nothing, two of so rare a class do.
    between(180, 181),
    between(180, 182),
  ];
  const codes = Float32Array.from({ length: 200 * 6 }, (_, i) => (active[i % 6](Math.floor(i / 6)) ? 1 : 0));
  const counts = new ClassCounts(classesOf(labels)!, 6, 0);
  counts.add(codes.subarray(0, 6 * 90), 0);
  counts.add(codes.subarray(6 * 90), 90);
  expect(counts.predictions).toEqual([
    { label: 'a', precision: 1, recall: 30 / 140, f1: 60 / 170 },
    undefined,
    { label: 'c', precision: 0.2, recall: 1, f1: 40 / 120 },
    undefined,
    undefined,
    { label: 'c', precision: 1, recall: 0.1, f1: 4 / 22 },
  ]);
});

test('labels of nearly every row, or a thousand and more, are no classes', () => {
  const numbers = (count: number, different: number) =>
    Array.from({ length: count }, (_, i) => `${i % different}`);
  expect(classesOf(numbers(9, 5))).toBeUndefined();
  expect(classesOf(numbers(3000, 1001))).toBeUndefined();
  expect(classesOf(numbers(3000, 1000))?.rows[999]).toBe(3);
});

test('a sparse probe finds the latents that tell a class, among others that do not', async () => {
  const random = seededRandom(4);
  const count = 2000;
  const labels = Array.from({ length: count }, () => (random() < 0.2 ? 'rare' : 'common'));
  const values = new Float32Array(count * 6).map((_, i) => {
    const rare = labels[Math.floor(i / 6)] === 'rare';
    // Latent 4 tells it nearly always, 1 sometimes.
    const active = [0.3, rare ? 0.6 : 0.2, 0.5, 0, rare ? 0.97 : 0.03, 0.1][i % 6];
    return random() < active ? 1 + random() : 0;
  });
  const probes = new SparseProbes(classesOf(labels)!, 6);
  probes.add(values.subarray(0, 6 * 700), 0);
  probes.add(values.subarray(6 * 700), 700);
  const [[first], [second]] = (await probes.fit([1, 2])).map(({ classes }) => classes);
  expect(first.latents).toEqual([4]);
  expect(second.latents).toEqual([4, 1]);
  expect(first.accuracy).toBeGreaterThan(0.93);
  expect(first.accuracy).toBeLessThan(0.995);
});

test('directions are what latents draw, also where they are multiplied by norms, which decoding divides by', async () => {
  const model = await Model.create(gpu, { in_dims: 9, h_dims: [13] }, 3);
  model.select({ topk: 4, rescale_acts_by_decoder_norm: true });
  const directions = await decoderDirections(model);
  const code = new Float32Array(2 * 13);
  for (const latent of [0, 7, 12]) {
    code.fill(0)[latent] = 1;
    const drawn = await model.decode(code);
    const change = drawn.subarray(0, 9).map((value, i) => value - drawn[9 + i]);
    expect(directions.subarray(latent * 9, (latent + 1) * 9)).toBeCloseTensor([...change], 1e-6);
  }
});

describe('a model', () => {
  const random = seededRandom(8);
  const dataset = (name: string, count: number, in_dims: number) => ({
    name,
    rows: count,
    in_dims,
    data: reals(random, count * in_dims, -1, 2),
    normalization: { mean: 0.5, std: 2 },
  });

  test.each([
    ['of one layer', [300]],
    ['of two layers', [20, 40]],
  ])('%s is measured on all rows, and its directions are compared', async (_, h_dims) => {
    const model = await Model.create(gpu, { in_dims: 9, h_dims }, 5);
    const given = dataset('some', 530, 9);
    const labels = Array.from({ length: 530 }, (_, i) => `row ${i}`);
    const of = await evaluation(model, { ...rowSource(given), labels }, { other_variances: true });
    const z = await model.encode(given);
    const hidden = h_dims[h_dims.length - 1];
    const active = z.filter((value) => value > 0).length;
    expect(of.active).toBeCloseTo(active / 530, 10);
    expect(of.rows).toBe(530);
    const reconstructed = await model.reconstruct(given);
    const normalized = given.data.map((value) => (value - 0.5) / 2);
    const mse =
      normalized.reduce((sum, value, i) => sum + (value - reconstructed[i]) ** 2, 0) / normalized.length;
    expect(of.mse / mse).toBeCloseTo(1, 5);
    expect(of.latents.map(({ max }) => max)).toEqual(
      Array.from({ length: hidden }, (_, i) => Math.max(0, ...z.filter((_, at) => at % hidden === i))),
    );

    const directions = await decoderDirections(model);
    const cosine = (a: number, b: number) => {
      const [p, q] = [a, b].map((i) => directions.subarray(i * 9, (i + 1) * 9));
      return p.reduce((sum, value, j) => sum + value * q[j], 0) / Math.hypot(...p) / Math.hypot(...q);
    };
    const nearest = await nearestLatents(model, 3);
    for (const latent of [0, 17, hidden - 1]) {
      const others = Array.from({ length: hidden }, (_, i) => i)
        .filter((i) => i !== latent)
        .map((i) => ({ latent: i, cosine: cosine(latent, i) }))
        .sort((a, b) => b.cosine - a.cosine);
      expect(nearest[latent].map((found) => found.latent)).toEqual(
        others.slice(0, 3).map((found) => found.latent),
      );
      expect(nearest[latent].map((found) => found.cosine)).toBeCloseTensor(
        others.slice(0, 3).map((found) => found.cosine),
        1e-5,
      );
      expect(of.latents[latent].nearest).toEqual(nearest[latent][0]);
    }
    expect(of.labels).toBeUndefined();
  });
});
