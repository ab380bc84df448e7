import { expect, it } from 'vitest';
import { orthogonalize } from '../../../src/sae/synth/dictionary.js';
import { rowProducts } from '../../../src/sae/synth/products.js';
import { normal, streamOf } from '../../../src/sae/synth/streams.js';
import { fixtures } from './fixtures.js';

const { input, ...expected } = fixtures.model.orthogonalize;

it.each([
  ['steps5_lr0.01', 5, 0.01],
  ['steps100_lr0.0003', 100, 0.0003],
] as const)('vectors are turned away from each other as by %s', async (name, steps, lr) => {
  const vectors = Float32Array.from(input.data);
  const seen: number[] = [];
  await orthogonalize(vectors, input.shape[1], { steps, lr }, { progress: (step) => seen.push(step) });
  const worst = Math.max(...expected[name].data.map((value, i) => Math.abs(value - vectors[i])));
  expect(worst).toBeLessThan(2e-6);
  expect(seen).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
});

it('it ends with its signal', async () => {
  const stop = new AbortController();
  const progress = (step: number) => step === 3 && stop.abort(new Error('enough'));
  const vectors = Float32Array.from(input.data);
  const work = orthogonalize(vectors, 8, { steps: 100, lr: 0.01 }, { progress, signal: stop.signal });
  await expect(work).rejects.toThrow('enough');
});

// Blocks are 64 rows of 256 values, tiles 4 rows by 2.
it.each([
  [1, 1, 1],
  [3, 5, 7],
  [67, 66, 300],
  [130, 65, 513],
])('products of %i and %i rows of %i values', (m, n, depth) => {
  const random = streamOf(7, 'rows');
  const draw = (length: number) => Float64Array.from({ length }, () => normal(random));
  const a = draw(m * depth);
  const b = draw(n * depth);
  const worst = (left: Float64Array, right: Float64Array, columns: number, found: Float64Array) => {
    let most = 0;
    for (let at = 0; at < found.length; at++) {
      const [i, j] = [Math.floor(at / columns) * depth, (at % columns) * depth];
      let sum = 0;
      for (let k = 0; k < depth; k++) {
        sum += left[i + k] * right[j + k];
      }
      most = Math.max(most, Math.abs(found[at] - sum));
    }
    return most;
  };
  const [left, right] = [
    { data: a, rows: m },
    { data: b, rows: n },
  ];
  const full = rowProducts(left, right, depth, new Float64Array(m * n).fill(9));
  const half = rowProducts(left, left, depth, new Float64Array(m * m).fill(9), true);
  expect(worst(a, b, n, full)).toBeLessThan(1e-10);
  expect(worst(a, a, m, half)).toBeLessThan(1e-10);
});
