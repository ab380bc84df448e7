import { describe, expect, test } from 'vitest';
import { padded } from '../../../src/gpu/tensor.js';
import { parseTrainConfig } from '../../../src/sae/config.js';
import { stepBytes, stepRecords } from '../../../src/sae/step/records.js';
import { parseLog } from '../../../src/sae/step/step-log.js';
import { columnMeans } from '../../reference/column-means.js';
import { klSparsity } from '../../reference/kl.js';
import { seededRandom } from '../../reference/random.js';
import '../../support/compare.js';
import { type Bench, gpuOfFile, onBench, paddingOf, reals } from '../../support/device.js';
import { pick, shapes, upTo } from '../../support/shapes.js';

const gpu = await gpuOfFile();
const tolerance = 1e-5;

/** Means of latents, some of them on either side of where the penalty's tangent begins, and beyond 1. */
function someMeans(random: () => number, length: number): Float32Array<ArrayBuffer> {
  const special = [0.98, 0.9899, 0.99, 0.9901, 1, 1.1, 7];
  return reals(random, length, 0.002, 1.5).map((mean) => (random() < 0.3 ? pick(special, random) : mean));
}

const targets = [0.01, 0.05, 0.3, 0.9];

interface Inputs {
  readonly hidden: Float32Array<ArrayBuffer>;
  readonly columns: number;
  readonly rows: number;
  readonly squaredErrors: Float32Array<ArrayBuffer>;
  readonly in_dims: number;
  readonly sparsity_lambda?: number;
  readonly sparsity_target?: number;
  /** Index of the step, whose log entry is written. */
  readonly index?: number;
  readonly halted?: number;
}

/** The sums over four rows each that the encoder's GEMM leaves, and how many of them were active, a byte each. */
function partialSums({ hidden, columns, rows }: Inputs) {
  const stride = padded(columns);
  const blocks = padded(rows) / 4;
  const sums = new Float32Array(blocks * stride);
  const active = new Uint8Array(blocks * stride);
  for (let i = 0; i < rows * columns; i++) {
    const at = Math.floor(i / columns / 4) * stride + (i % columns);
    sums[at] += hidden[i];
    active[at] += hidden[i] > 0 ? 1 : 0;
  }
  return { sums, active: new Uint32Array(active.buffer), blocks };
}

const settings = { lr: 0.01 };
const words = stepBytes / 4;
const unwritten = 0xabcd;

/** Runs the two kernels that end a forward pass on what the encoder and the decoder would have left. */
async function measure(bench: Bench, inputs: Inputs) {
  const { columns, rows, in_dims, sparsity_lambda = 0.2, sparsity_target = 0.01, index = 0 } = inputs;
  const { sums, active, blocks } = partialSums(inputs);
  const groups = Math.ceil(padded(columns) / 4 / 64);
  const step = bench.step({ rows, coefficients: [sparsity_lambda, sparsity_target] });
  const state = bench.buffer(new Uint32Array([index, inputs.halted ?? 0]));
  const log = bench.buffer(new Uint32Array(6 * 8).fill(unwritten));
  const gradients = bench.unwritten('gradients', [columns]);
  const rowsActive = bench.buffer(new Uint32Array(padded(columns)));
  const shares = bench.buffer(new Uint32Array(groups * 64 * 8));
  await bench.run(
    ['metrics/step.wgsl', 'sparsity/kl.wgsl', 'metrics/statistics.wgsl'],
    {
      sizes: new Uint32Array([blocks, padded(columns) / 4, columns, 0]),
      step,
      column_sums: bench.buffer(new Uint32Array(sums.buffer)),
      active_counts: bench.buffer(active),
      squared_errors: bench.buffer(new Uint32Array(inputs.squaredErrors.buffer)),
      penalty_gradients: gradients,
      rows_active: rowsActive,
      shares,
    },
    [groups, 1],
  );
  const config = parseTrainConfig({ ...settings, sparsity_lambda, sparsity_target });
  const records = new Uint32Array(stepRecords(() => config, { rows: 18, batchRows: 3, updates: 4 }));
  const update = bench.buffer(new Uint32Array(words));
  await bench.run(
    ['metrics/step.wgsl', 'sparsity/sums.wgsl', 'metrics/log.wgsl'],
    {
      sizes: new Uint32Array([in_dims]),
      divisor: new Uint32Array(Float32Array.of(in_dims).buffer),
      shares,
      steps: bench.buffer(records),
      step,
      update,
      state,
      log_of_steps: log,
    },
    [1, 1],
  );
  const logged = await bench.words(log);
  const entry = logged.slice(index * 8, index * 8 + 8);
  const none = { latents: 0, latentWords: 0, parameters: [] };
  const { mse, divisor, terms, active: count, fault } = parseLog(entry.buffer, [rows], none).steps[0];
  return {
    mse,
    divisor,
    kl: terms[0],
    otherTerms: [...Array.from(terms)].slice(1),
    active: count,
    fault,
    state: [...(await bench.words(state))],
    update: await bench.words(update),
    step: (await bench.words(step)).slice(0, words),
    records,
    gradients: await gradients.read(),
    padding: await paddingOf(gradients),
    rowsActive: [...(await bench.words(rowsActive))],
    elsewhere: [...logged].filter((_, i) => Math.floor(i / 8) !== index),
  };
}

function someInputs(random: () => number, columns = upTo(300, random), rows = upTo(64, random)): Inputs {
  const means = someMeans(random, columns).map((mean) => (random() < 0.1 ? 0 : mean));
  const hidden = reals(random, rows * columns, 0, 2).map((value, i) => value * means[i % columns]);
  return {
    hidden,
    columns,
    rows,
    in_dims: upTo(300, random),
    squaredErrors: reals(random, upTo(900, random), 0, 3),
  };
}

describe('the end of a forward pass', () => {
  test('a step’s metrics, its gradients, and the next step’s record', async () => {
    await shapes(gpu, async (bench, { columns, random }) => {
      const sparsity_target = pick(targets, random);
      const index = upTo(6, random) - 1;
      const inputs = { ...someInputs(random, columns), index, sparsity_target };
      const { rows, hidden, in_dims } = inputs;
      const seen = await measure(bench, inputs);
      const sum = inputs.squaredErrors.reduce((total, value) => total + value, 0);
      expect([seen.mse]).toBeCloseTensor([sum / (rows * in_dims)], tolerance);
      expect(seen.divisor).toBe(in_dims);
      const { kl, slope } = klSparsity(columnMeans(hidden, rows, columns), sparsity_target);
      // WGSL allows a logarithm an absolute error of 2^-21, which a latent near its target shows.
      expect(Math.abs(seen.kl - kl)).toBeLessThan(tolerance * kl + 2 * columns * 2 ** -21);
      expect(seen.otherTerms).toEqual([0, 0, 0]);
      const expected = slope.map((value) => (0.2 * value) / rows);
      expect(seen.gradients).toBeCloseTensor(expected, 5e-5);
      expect(seen.padding).toBe(0);
      expect(seen.active).toBe(hidden.reduce((total, value) => total + (value > 0 ? 1 : 0), 0));
      expect(seen.rowsActive.slice(0, columns).map(Boolean)).toEqual(
        Array.from({ length: columns }, (_, j) => hidden.some((value, i) => i % columns === j && value > 0)),
      );
      expect(seen).toMatchObject({ fault: undefined, state: [index + 1, 0] });
      expect(new Set(seen.elsewhere)).toEqual(new Set([unwritten]));
      const next = Math.min(index + 1, 5);
      expect([...seen.step]).toEqual([...seen.records.subarray(next * words, (next + 1) * words)]);
      expect(seen.update[1]).toBe(rows);
    });
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('%s halts', async (value) => {
    await onBench(gpu, async (bench) => {
      const inputs = someInputs(seededRandom(2), 70, 9);
      for (const at of [0, 63, inputs.squaredErrors.length - 1]) {
        const squaredErrors = inputs.squaredErrors.with(at, value);
        expect(await measure(bench, { ...inputs, squaredErrors })).toMatchObject({
          fault: 'loss',
          state: [1, 1],
        });
      }
      for (const at of [0, 64, 69]) {
        const hidden = inputs.hidden.with(at, value);
        expect(await measure(bench, { ...inputs, hidden })).toMatchObject({ fault: 'loss', state: [1, 1] });
      }
    });
  });

  test('a sum beyond the largest f32 halts', async () => {
    await onBench(gpu, async (bench) => {
      const squaredErrors = new Float32Array(64).fill(3e38);
      const inputs = { ...someInputs(seededRandom(3)), squaredErrors };
      expect(await measure(bench, inputs)).toMatchObject({ fault: 'loss', state: [1, 1] });
    });
  });

  test('what is halted stays so', async () => {
    await onBench(gpu, async (bench) => {
      const inputs = { ...someInputs(seededRandom(4)), halted: 1 };
      expect(await measure(bench, inputs)).toMatchObject({ fault: undefined, state: [1, 1] });
    });
  });
});

test('the records that the host writes', () => {
  const config = parseTrainConfig({ lr: 0.01, sparsity_lambda: 0.2, sparsity_target: 0.05 });
  const records = stepRecords(() => config, { rows: 8, batchRows: 3, updates: 4 });
  expect(records.byteLength).toBe(3 * stepBytes);
  const last = records.slice(2 * stepBytes);
  expect([...new Uint32Array(last, 0, 2)]).toEqual([6, 2]);
  const t = 4 + 2 + 1;
  const rates = [0.01 / (1 - 0.9 ** t), 1 / Math.sqrt(1 - 0.999 ** t)];
  expect([...new Float32Array(last, 8)]).toEqual([...rates, 0.2, 0.05, 0, 0].map(Math.fround));
  const own = stepRecords(() => config, { rows: 8, batchRows: 3, updates: 4, from: 2 });
  expect(new Uint8Array(own)).toEqual(new Uint8Array(last));
});
