import { expect, it } from 'vitest';
import { addRowProducts } from '../../../src/sae/products.js';
import { normalizeRows, orthogonalize } from '../../../src/sae/synth/dictionary.js';
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
  const full = new Float64Array(m * n);
  addRowProducts(left, right, depth, full);
  const half = new Float64Array(m * m);
  addRowProducts(left, left, depth, half, true);
  expect(worst(a, b, n, full)).toBeLessThan(1e-10);
  expect(worst(a, a, m, half)).toBeLessThan(1e-10);
  // It adds to what is there.
  addRowProducts(left, left, depth, half, true);
  expect(
    worst(
      a,
      a,
      m,
      half.map((value) => value / 2),
    ),
  ).toBeLessThan(1e-10);
});

// They are taken 512 at a time. Those of the first part point elsewhere than the others, so neither alone has the signs.
it('more vectors than are taken at a time have the gradient of the loss', async () => {
  const [n, depth] = [1030, 3];
  const random = streamOf(8, 'rows');
  const start = Float32Array.from({ length: n * depth }, (_, at) => {
    const along = at < 512 * depth ? 0 : 1;
    return 0.3 * normal(random) + (at % depth === along ? 1 : 0);
  });
  const lr = 1e-3;
  const found = start.slice();
  await orthogonalize(found, depth, { steps: 1, lr });
  normalizeRows(start, depth);
  for (const i of [0, 511, 512, 1023, 1024, 1029]) {
    const own = Float64Array.from(start.subarray(i * depth, (i + 1) * depth));
    /** The part of the loss that changes with this vector. */
    const loss = (vector: Float64Array) => {
      let sum = n * (vector.reduce((total, value) => total + value * value, 0) - 1) ** 2;
      for (let j = 0; j < n; j++) {
        const product = vector.reduce((total, value, k) => total + value * start[j * depth + k], 0);
        sum += i === j ? 0 : 2 * product ** 2;
      }
      return sum;
    };
    // Adam's first step is lr against the sign of the gradient, here by central differences.
    const moved = own.map((value, k) => {
      const [more, less] = [1e-5, -1e-5].map((shift) => loss(own.with(k, value + shift)));
      return value - lr * Math.sign(more - less);
    });
    const norm = Math.hypot(...moved);
    const expected = [...moved].map((value) => expect.closeTo(value / norm, 6));
    expect([...found.subarray(i * depth, (i + 1) * depth)]).toEqual(expected);
  }
});
