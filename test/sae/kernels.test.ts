import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { padded } from '../../src/gpu/tensor.js';
import type { Dataset } from '../../src/sae/dataset.js';
import { elementwiseGrid, matrixSizes } from '../../src/sae/elementwise.js';
import { Examples } from '../../src/sae/examples.js';
import { stepRecords } from '../../src/sae/schedule.js';
import { activationBackward, biasActivation, isActive } from '../reference/activation.js';
import { adamStep } from '../reference/adam.js';
import { columnMeans, columnSums } from '../reference/column-means.js';
import { gatherRows } from '../reference/gather.js';
import { klSparsity } from '../reference/kl.js';
import { mse, mseGradient } from '../reference/mse.js';
import { seededRandom } from '../reference/random.js';
import '../support/compare.js';
import {
  type Bench,
  gpuOfFile,
  onBench,
  paddingOf,
  rawValues,
  reals,
  sameBits,
  withLimits,
} from '../support/device.js';
import { columnGrid, deinterleaved, interleaved, stridedGrid } from '../support/separate-step.js';

const gpu = await gpuOfFile();

const tolerance = 1e-5;
const dimension = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.constantFrom(1, 2, 3, 4, 5, 31, 32, 33, 127, 128, 129, 255, 256, 257, 300),
);

interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly random: () => number;
}

/** Runs `check` with at least 50 random shapes, and an extreme one or two. */
async function shapes(check: (bench: Bench, shape: Shape) => Promise<void>): Promise<void> {
  const property = fc.asyncProperty(dimension, dimension, fc.integer(), (rows, columns, seed) =>
    onBench(gpu, (bench) => check(bench, { rows, columns, random: seededRandom(seed) })),
  );
  await fc.assert(property, {
    numRuns: 50,
    examples: [
      [1, 1, 0],
      [300, 299, 0],
    ],
  });
}

/** A whole number from 1 to `most`. */
function upTo(most: number, random: () => number): number {
  return 1 + Math.floor(random() * most);
}

describe('gather', () => {
  const normalization = { mean: 0.1307, std: 0.3081 };

  function dataset({ columns, random }: Shape, rows: number, bits: 'u8' | 'f32'): Dataset {
    const values = reals(random, rows * columns, -2, 2);
    const data = bits === 'u8' ? Uint8Array.from(values, (value) => (value + 2) * 63.9) : values;
    return { name: 'test rows', rows, in_dims: columns, data, normalization };
  }

  /** Gathers a batch from the middle of an order with repeated rows, the last of them possibly missing. */
  async function check(bench: Bench, shape: Shape, bits: 'u8' | 'f32', partRows?: number) {
    const { rows, columns, random } = shape;
    const examples = dataset(shape, upTo(40, random), bits);
    const first_row = upTo(5, random) - 1;
    const present = upTo(rows, random);
    const order = Uint32Array.from({ length: first_row + rows }, () => upTo(examples.rows, random) - 1);
    const rowBytes = padded(columns) * examples.data.BYTES_PER_ELEMENT;
    const limits = partRows === undefined ? {} : { maxStorageBufferBindingSize: partRows * rowBytes };
    const uploaded = await withLimits(gpu, limits, () => Examples.upload(gpu, examples));
    try {
      if (partRows !== undefined) {
        expect(uploaded.parts.length).toBe(Math.ceil(examples.rows / partRows));
      }
      const batch = bench.unwritten('batch', [rows, columns]);
      const program = bench.program();
      const step = bench.step({ first_row, rows: present });
      uploaded.addGather(program, step, bench.buffer(order), batch);
      await program.ready();
      program.submit();
      const taken = order.subarray(first_row, first_row + present);
      const expected = new Float64Array(rows * columns);
      expected.set(gatherRows(examples.data, columns, taken, normalization));
      expect(await batch.read()).toBeCloseTensor(expected, tolerance);
      expect(await paddingOf(batch)).toBe(0);
    } finally {
      uploaded.destroy();
    }
  }

  test.each(['u8', 'f32'] as const)('%s', async (bits) => {
    await shapes((bench, shape) => check(bench, shape, bits));
  });

  test.each(['u8', 'f32'] as const)('%s in several parts', async (bits) => {
    await shapes((bench, shape) => check(bench, shape, bits, upTo(9, shape.random)));
  });
});

describe('bias_activation', () => {
  test.each(['relu', 'sigmoid', 'identity'] as const)('%s', async (activation) => {
    await shapes(async (bench, { rows, columns, random }) => {
      const x = reals(random, rows * columns, -3, 3);
      const shift = reals(random, columns, -3, 3);
      const values = bench.tensor('values', [rows, columns], x);
      const bias = bench.tensor('bias', [columns], shift);
      const files = ['elementwise.wgsl', `${activation}.wgsl`, 'bias_activation.wgsl'];
      await bench.run(files, { matrix: matrixSizes(values), bias, values }, elementwiseGrid(values));
      // In units of the values themselves: a sum may end near 0, where it is all rounding.
      const expected = biasActivation(x, shift, rows, columns, activation);
      expect(maxDistance(await values.read(), expected)).toBeLessThan(tolerance * 3);
      expect(await paddingOf(values, 'columns')).toBe(0);
    });
  });
});

describe('activation_gradient', () => {
  test.each(['relu', 'sigmoid'] as const)('%s', async (activation) => {
    await shapes(async (bench, { rows, columns, random }) => {
      const low = activation === 'relu' ? -1 : 0;
      const y = reals(random, rows * columns, low, 1).map((value) => Math.max(value, 0));
      const g = reals(random, rows * columns, -1, 1);
      const outputs = bench.tensor('outputs', [rows, columns], y);
      const gradients = bench.tensor('gradients', [rows, columns], g);
      const files = ['elementwise.wgsl', `${activation}.wgsl`, 'activation_gradient.wgsl'];
      await bench.run(files, { matrix: matrixSizes(outputs), outputs, gradients }, elementwiseGrid(outputs));
      expect(await gradients.read()).toBeCloseTensor(activationBackward(g, y, activation), tolerance);
      expect(await paddingOf(gradients)).toBe(0);
    });
  });
});

describe('column_means', () => {
  test.each(['relu', 'sigmoid'] as const)('%s: means, counts, units ever active', async (activation) => {
    await shapes(async (bench, { rows, columns, random }) => {
      const present = upTo(rows, random);
      const low = activation === 'relu' ? -0.5 : 0;
      const values = reals(random, rows * columns, low, 1).map((value) => Math.max(value, 0));
      // Some units are never active, and one sits exactly at the sigmoid's threshold.
      for (let j = 0; j < columns; j += 3) {
        for (let i = 0; i < rows; i++) {
          values[i * columns + j] = activation === 'relu' ? 0 : 0.5;
        }
      }
      const hidden = bench.tensor('hidden', [rows, columns], values);
      const means = bench.unwritten('means', [columns]);
      const counts = bench.buffer(new Uint32Array(padded(columns)).fill(99));
      const before = Uint32Array.from({ length: padded(columns) }, (_, j) => (j % 5 === 0 ? 2 : 0));
      const ever = bench.buffer(before);
      await bench.run(
        ['step.wgsl', `${activation}.wgsl`, 'column_means.wgsl'],
        { step: bench.step({ rows: present }), hidden, means, active_rows: counts, ever_active: ever },
        columnGrid(hidden),
      );
      const seen = values.subarray(0, present * columns);
      expect(await means.read()).toBeCloseTensor(columnMeans(seen, present, columns), tolerance);
      expect(await paddingOf(means)).toBe(0);
      const active = new Array<number>(padded(columns)).fill(0);
      seen.forEach((value, i) => {
        active[i % columns] += isActive(activation, value) ? 1 : 0;
      });
      expect([...(await bench.words(counts))]).toEqual(active);
      expect([...(await bench.words(ever))].map(Boolean)).toEqual(
        active.map((count, j) => count > 0 || before[j] > 0),
      );
    });
  });
});

test('column_sums', async () => {
  await shapes(async (bench, { rows, columns, random }) => {
    const x = reals(random, rows * columns, -0.25, 1);
    const values = bench.tensor('values', [rows, columns], x);
    const sums = bench.unwritten('sums', [columns]);
    await bench.run(['column_sums.wgsl'], { matrix: matrixSizes(values), values, sums }, columnGrid(values));
    expect(await sums.read()).toBeCloseTensor(columnSums(x, rows, columns), tolerance);
    expect(await paddingOf(sums)).toBe(0);
  });
});

/** Means of hidden units, some of them on either side of where the penalty's tangent begins, and beyond 1. */
function someMeans(random: () => number, length: number): Float32Array<ArrayBuffer> {
  const special = [0.98, 0.9899, 0.99, 0.9901, 1, 1.1, 7];
  return reals(random, length, 0.002, 1.5).map((mean) => (random() < 0.3 ? pick(special, random) : mean));
}

function pick<T>(values: readonly T[], random: () => number): T {
  return values[upTo(values.length, random) - 1];
}

const targets = [0.01, 0.05, 0.3, 0.9];

describe('kl_gradient', () => {
  async function check(bench: Bench, { rows, columns, random }: Shape, m: Float32Array<ArrayBuffer>) {
    const present = upTo(rows, random);
    const sparsity_lambda = pick([0, 0.2, 3], random);
    const sparsity_target = pick(targets, random);
    // Of the penalty's own size, so that neither hides the other.
    const size = (sparsity_lambda || 1) / present;
    const before = reals(random, rows * columns, -size, size);
    const means = bench.tensor('means', [columns], m);
    const gradients = bench.tensor('gradients', [rows, columns], before);
    await bench.run(
      ['step.wgsl', 'elementwise.wgsl', 'kl_sparsity.wgsl', 'kl_gradient.wgsl'],
      {
        matrix: matrixSizes(gradients),
        step: bench.step({ rows: present, sparsity_lambda, sparsity_target }),
        means,
        gradients,
      },
      elementwiseGrid(gradients),
    );
    const { slope } = klSparsity(m, sparsity_target);
    const expected = Float64Array.from(before, (value, i) =>
      i < present * columns ? value + (sparsity_lambda * slope[i % columns]) / present : value,
    );
    expect(await gradients.read()).toBeCloseTensor(expected, tolerance);
    expect(await paddingOf(gradients)).toBe(0);
  }

  test('means up to 0.99 and beyond', async () => {
    await shapes((bench, shape) => check(bench, shape, someMeans(shape.random, shape.columns)));
  });

  test('units that are never active', async () => {
    await shapes((bench, shape) => check(bench, shape, new Float32Array(shape.columns)));
  });
});

test('mse: value and gradient of a batch that may be short', async () => {
  await shapes(async (bench, { rows, columns, random }) => {
    const present = upTo(rows, random);
    const x = reals(random, rows * columns, -0.4, 2.8);
    const y = reals(random, rows * columns, -0.4, 2.8);
    const input = bench.tensor('input', [rows, columns], x);
    const output = bench.tensor('output', [rows, columns], y);
    const gradient = bench.unwritten('gradient', [rows, columns]);
    const groups = upTo(5, random);
    const partials = bench.unwritten('partial sums', [groups * 64]);
    await bench.run(
      ['step.wgsl', 'mse.wgsl'],
      {
        matrix: matrixSizes(output),
        step: bench.step({ rows: present }),
        inputs: input,
        reconstructions: output,
        gradients: gradient,
        partial_sums: partials,
      },
      [groups, 1],
    );
    const count = present * columns;
    const sum = (await rawValues(partials)).reduce((total, value) => total + value, 0);
    const [seenY, seenX] = [y.subarray(0, count), x.subarray(0, count)];
    expect([sum / count]).toBeCloseTensor([mse(seenY, seenX)], tolerance);
    const expected = new Float64Array(rows * columns);
    expected.set(mseGradient(seenY, seenX));
    expect(await gradient.read()).toBeCloseTensor(expected, tolerance);
    expect(await paddingOf(gradient)).toBe(0);
  });
});

describe('hidden_statistics and step_metrics', () => {
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

  const settings = { batch_size: 3, lr: 0.01 };

  async function measure(bench: Bench, inputs: Inputs) {
    const { columns, rows, in_dims, sparsity_lambda = 0.2, sparsity_target = 0.01, index = 0 } = inputs;
    const { sums, active, blocks } = partialSums(inputs);
    const groups = Math.ceil(padded(columns) / 4 / 64);
    const step = bench.step({ rows, sparsity_lambda, sparsity_target });
    const state = bench.buffer(new Uint32Array([index, inputs.halted ?? 0]));
    const log = bench.buffer(new Uint32Array(6 * 4).fill(0xabcd));
    const slopes = bench.unwritten('slopes', [columns]);
    const everActive = bench.buffer(new Uint32Array(padded(columns)));
    const shares = bench.buffer(new Uint32Array(groups * 64 * 3));
    await bench.run(
      ['step.wgsl', 'kl_sparsity.wgsl', 'hidden_statistics.wgsl'],
      {
        sizes: new Uint32Array([blocks, padded(columns) / 4, columns]),
        step,
        column_sums: bench.buffer(new Uint32Array(sums.buffer)),
        active_counts: bench.buffer(active),
        squared_errors: bench.buffer(new Uint32Array(inputs.squaredErrors.buffer)),
        penalty_slopes: slopes,
        ever_active: everActive,
        shares,
      },
      [groups, 1],
    );
    const records = new Uint32Array(stepRecords(18, 4, { ...settings, sparsity_lambda, sparsity_target }));
    const update = bench.buffer(new Uint32Array(6));
    await bench.run(
      ['step.wgsl', 'step_metrics.wgsl'],
      {
        sizes: new Uint32Array([in_dims]),
        shares,
        steps: bench.buffer(records),
        step,
        update,
        state,
        log_of_steps: log,
      },
      [1, 1],
    );
    const words = await bench.words(log);
    const floats = new Float32Array(words.buffer);
    const entry = words.subarray(index * 4, index * 4 + 4);
    return {
      mse: floats[index * 4],
      kl: floats[index * 4 + 1],
      active: entry[2],
      finite: entry[3],
      state: [...(await bench.words(state))],
      update: await bench.words(update),
      step: (await bench.words(step)).slice(0, 6),
      records,
      slopes: await slopes.read(),
      padding: await paddingOf(slopes),
      everActive: [...(await bench.words(everActive))],
      elsewhere: [...words].filter((_, i) => Math.floor(i / 4) !== index),
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

  test('a step\u2019s metrics, its slopes, and the next step\u2019s record', async () => {
    await shapes(async (bench, { columns, random }) => {
      const sparsity_target = pick(targets, random);
      const index = upTo(6, random) - 1;
      const inputs = { ...someInputs(random, columns), index, sparsity_target };
      const { rows, hidden, in_dims } = inputs;
      const seen = await measure(bench, inputs);
      const sum = inputs.squaredErrors.reduce((total, value) => total + value, 0);
      expect([seen.mse]).toBeCloseTensor([sum / (rows * in_dims)], tolerance);
      const { kl, slope } = klSparsity(columnMeans(hidden, rows, columns), sparsity_target);
      // WGSL allows a logarithm an absolute error of 2^-21, which a unit near its target shows.
      expect(Math.abs(seen.kl - kl)).toBeLessThan(tolerance * kl + 2 * columns * 2 ** -21);
      const expected = slope.map((value) => (0.2 * value) / rows);
      expect(seen.slopes).toBeCloseTensor(expected, 5e-5);
      expect(seen.padding).toBe(0);
      expect(seen.active).toBe(hidden.reduce((total, value) => total + (value > 0 ? 1 : 0), 0));
      expect(seen.everActive.slice(0, columns).map(Boolean)).toEqual(
        Array.from({ length: columns }, (_, j) => hidden.some((value, i) => i % columns === j && value > 0)),
      );
      expect(seen).toMatchObject({ finite: 1, state: [index + 1, 0] });
      expect(new Set(seen.elsewhere)).toEqual(new Set([0xabcd]));
      const next = Math.min(index + 1, 5);
      expect([...seen.step]).toEqual([...seen.records.subarray(next * 6, next * 6 + 6)]);
      expect(seen.update[1]).toBe(rows);
    });
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('%s halts', async (value) => {
    await onBench(gpu, async (bench) => {
      const inputs = someInputs(seededRandom(2), 70, 9);
      for (const at of [0, 63, inputs.squaredErrors.length - 1]) {
        const squaredErrors = inputs.squaredErrors.with(at, value);
        expect(await measure(bench, { ...inputs, squaredErrors })).toMatchObject({
          finite: 0,
          state: [1, 1],
        });
      }
      for (const at of [0, 64, 69]) {
        const hidden = inputs.hidden.with(at, value);
        expect(await measure(bench, { ...inputs, hidden })).toMatchObject({ finite: 0, state: [1, 1] });
      }
    });
  });

  test('a sum beyond the largest f32 halts', async () => {
    await onBench(gpu, async (bench) => {
      const squaredErrors = new Float32Array(64).fill(3e38);
      const inputs = { ...someInputs(seededRandom(3)), squaredErrors };
      expect(await measure(bench, inputs)).toMatchObject({ finite: 0, state: [1, 1] });
    });
  });

  test('what is halted stays so', async () => {
    await onBench(gpu, async (bench) => {
      const inputs = { ...someInputs(seededRandom(4)), halted: 1 };
      expect(await measure(bench, inputs)).toMatchObject({ finite: 1, state: [1, 1] });
    });
  });

  test('the records that the host writes', () => {
    const records = new Uint32Array(
      stepRecords(8, 4, { ...settings, sparsity_lambda: 0.2, sparsity_target: 0.05 }),
    );
    const last = records.slice(12);
    expect([...last.subarray(0, 2)]).toEqual([6, 2]);
    const t = 4 + 2 + 1;
    const floats = [0.01 / (1 - 0.9 ** t), 1 / Math.sqrt(1 - 0.999 ** t), 0.2, 0.05].map(Math.fround);
    expect([...new Float32Array(last.buffer, 8)]).toEqual(floats);
  });
});

describe('adam', () => {
  interface Values {
    readonly parameters: Float32Array<ArrayBuffer>;
    readonly gradient: Float32Array<ArrayBuffer>;
    readonly m: Float32Array<ArrayBuffer>;
    readonly v: Float32Array<ArrayBuffer>;
  }

  async function update(
    bench: Bench,
    shape: readonly number[],
    { parameters, gradient, m, v }: Values,
    t: number,
    lr: number,
    halted = 0,
  ) {
    const record = new Float32Array(
      stepRecords(1, t - 1, { batch_size: 1, lr, sparsity_lambda: 0, sparsity_target: 0.1 }),
    );
    const gradients = bench.tensor('gradients', shape, gradient);
    const values = bench.tensor('parameters', shape, parameters);
    const moments = bench.tensor('moments', [shape.reduce((product, length) => product * padded(length), 2)]);
    moments.write(interleaved(shape, m, v));
    const step = bench.step({ learning_rate: record[2], second_correction: record[3] });
    const state = bench.buffer(new Uint32Array([1, halted]), 16);
    await bench.run(
      ['step.wgsl', 'adam_rule.wgsl', 'adam.wgsl'],
      { update: step, state, gradients, parameters: values, moments },
      stridedGrid(values, pick([1, 8], Math.random)),
    );
    expect(await paddingOf(values)).toBe(0);
    const [first, second] = deinterleaved(shape, await moments.read());
    return { parameters: await values.read(), m: first, v: second };
  }

  /** Parameters no larger than an update, so that the update counts; moments as they are at step t. */
  function someValues(random: () => number, length: number, t: number): Values {
    const zeros = new Float32Array(length);
    return {
      parameters: reals(random, length, -0.1, 0.1),
      gradient: reals(random, length, -1, 1).map((value) => (random() < 0.1 ? 0 : value)),
      m: t === 1 ? zeros : reals(random, length, -1, 1),
      v: t === 1 ? zeros : reals(random, length, 0.01, 1),
    };
  }

  test.each([1, 2, 1000])('step %d', async (t) => {
    await shapes(async (bench, { rows, columns, random }) => {
      const values = someValues(random, rows * columns, t);
      const seen = await update(bench, [rows, columns], values, t, 0.1);
      const expected = Float64Array.from(values.parameters);
      const moments = { m: Float64Array.from(values.m), v: Float64Array.from(values.v) };
      adamStep(expected, values.gradient, moments, t, 0.1);
      // In units of lr: a parameter may end near 0, where it is all rounding.
      expect(maxDistance(seen.parameters, expected)).toBeLessThan(0.1 * tolerance);
      expect(seen.m).toBeCloseTensor(moments.m, tolerance);
      expect(seen.v).toBeCloseTensor(moments.v, tolerance);
    });
  });

  test('does nothing once training is halted', async () => {
    await shapes(async (bench, { rows, columns, random }) => {
      const values = someValues(random, rows * columns, 2);
      const seen = await update(bench, [rows, columns], values, 2, 0.1, 1);
      expect(sameBits(seen.parameters, values.parameters)).toBe(true);
      expect(sameBits(seen.m, values.m)).toBe(true);
      expect(sameBits(seen.v, values.v)).toBe(true);
    });
  });

  test('a gradient that is no number does not pass the halt', async () => {
    await onBench(gpu, async (bench) => {
      const values = {
        ...someValues(seededRandom(1), 10, 2),
        gradient: new Float32Array(10).fill(Number.NaN),
      };
      const { parameters } = await update(bench, [10], values, 2, 0.1, 1);
      expect(parameters).toEqual(values.parameters);
    });
  });

  test('moments that decay into denormal numbers become zero', async () => {
    await onBench(gpu, async (bench) => {
      const smallest = 2 ** -126;
      const values: Values = {
        parameters: new Float32Array(4).fill(0.5),
        gradient: new Float32Array(4),
        m: Float32Array.of(smallest, -smallest, 2 * smallest, 0),
        v: Float32Array.of(smallest, smallest, 2 * smallest, 0),
      };
      const seen = await update(bench, [4], values, 1000, 1e-3);
      expect([...seen.m].slice(0, 2).map(Math.abs)).toEqual([0, 0]);
      expect([...seen.v].slice(0, 2)).toEqual([0, 0]);
      expect(seen.m[2]).toBeGreaterThan(smallest);
      expect(seen.v[2]).toBeGreaterThan(smallest);
    });
  });
});

function maxDistance(actual: Float32Array, expected: Float64Array): number {
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i])), 0);
}
