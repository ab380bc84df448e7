import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseTrainConfig, type TrainOptions } from '../../../src/sae/config.js';
import { adamStep, zeroMoments } from '../../reference/adam.js';
import { seededRandom } from '../../reference/random.js';
import '../../support/compare.js';
import { gpuOfFile, onBench, reals, sameBits } from '../../support/device.js';
import { maxDistance, pick, shapes } from '../../support/shapes.js';
import { clip, type HowToUpdate, type Updating, update } from '../../support/update.js';

const gpu = await gpuOfFile();
const tolerance = 1e-5;
const lr = 0.1;

/** Parameters no larger than an update, so that the update counts; moments as they are at step t. */
function someValues(random: () => number, length: number, t: number): Updating {
  const zeros = new Float32Array(length);
  return {
    parameters: reals(random, length, -0.1, 0.1),
    gradient: reals(random, length, -1, 1).map((value) => (random() < 0.1 ? 0 : value)),
    moments: t === 1 ? [zeros, zeros] : [reals(random, length, -1, 1), reals(random, length, 0.01, 1)],
  };
}

type AdamOptions = Extract<TrainOptions, { optimizer?: 'adam' | undefined }>;

function adamOf(options: TrainOptions) {
  const config = parseTrainConfig(options);
  if (config.optimizer !== 'adam') {
    throw new TypeError(`These are options of ${config.optimizer}.`);
  }
  return { betas: config.adam_betas, eps: config.adam_eps };
}

function expectAdam(
  seen: Omit<Updating, 'gradient'>,
  { parameters, gradient, moments: [m, v] }: Updating,
  { t, scale = 1, options = {} }: HowToUpdate,
): void {
  const expected = Float64Array.from(parameters);
  const moments = { m: Float64Array.from(m), v: Float64Array.from(v) };
  const scaled = Float64Array.from(gradient, (value) => value * scale);
  adamStep(expected, scaled, moments, t, lr, adamOf(options));
  // In units of lr: a parameter may end near 0, where it is all rounding.
  expect(maxDistance(seen.parameters, expected)).toBeLessThan(lr * tolerance);
  expect(seen.moments[0]).toBeCloseTensor(moments.m, tolerance);
  expect(seen.moments[1]).toBeCloseTensor(moments.v, tolerance);
}

describe('Adam', () => {
  test.each([1, 2, 1000])('step %d', async (t) => {
    await shapes(gpu, async (bench, { rows, columns, random }) => {
      const values = someValues(random, rows * columns, t);
      const how = { t, lr, groups: pick([1, 8, 64], random), apart: pick([true, false], random) };
      expectAdam(await update(bench, [rows, columns], values, how), values, how);
    });
  });

  test.each<AdamOptions>([
    { adam_betas: [0, 0.99], adam_eps: 1e-3 },
    { adam_betas: [0.5, 0], adam_eps: 0.5 },
    { adam_betas: [0.99, 0.9999], adam_eps: 6.25e-10 },
  ])('with $adam_betas and $adam_eps', async (options) => {
    await onBench(gpu, async (bench) => {
      for (const t of [1, 7]) {
        const values = someValues(seededRandom(t), 21, t);
        expectAdam(await update(bench, [3, 7], values, { t, lr, options }), values, { t, lr, options });
      }
    });
  });

  test('takes the gradient as it was scaled', async () => {
    await onBench(gpu, async (bench) => {
      const values = someValues(seededRandom(5), 35, 3);
      const how = { t: 3, lr, scale: 0.25 };
      expectAdam(await update(bench, [5, 7], values, how), values, how);
    });
  });

  test('does nothing once training is halted', async () => {
    await shapes(gpu, async (bench, { rows, columns, random }) => {
      const values = someValues(random, rows * columns, 2);
      const seen = await update(bench, [rows, columns], values, { t: 2, lr, halted: 1 });
      expect(sameBits(seen.parameters, values.parameters)).toBe(true);
      expect(seen.moments.every((moment, i) => sameBits(moment, values.moments[i]))).toBe(true);
    });
  });

  test('a gradient that is no number does not pass the halt', async () => {
    await onBench(gpu, async (bench) => {
      const gradient = new Float32Array(10).fill(Number.NaN);
      const values = { ...someValues(seededRandom(1), 10, 2), gradient };
      const { parameters } = await update(bench, [10], values, { t: 2, lr, halted: 1 });
      expect(parameters).toEqual(values.parameters);
    });
  });

  test('moments that decay into denormal numbers become zero', async () => {
    await onBench(gpu, async (bench) => {
      const smallest = 2 ** -126;
      const seen = await update(
        bench,
        [4],
        {
          parameters: new Float32Array(4).fill(0.5),
          gradient: new Float32Array(4),
          moments: [
            Float32Array.of(smallest, -smallest, 2 * smallest, 0),
            Float32Array.of(smallest, smallest, 2 * smallest, 0),
          ],
        },
        { t: 1000, lr: 1e-3 },
      );
      for (const moment of seen.moments) {
        expect([...moment].slice(0, 2).map(Math.abs)).toEqual([0, 0]);
        expect(moment[2]).toBeGreaterThan(smallest);
      }
    });
  });
});

/** Of `test/fixtures/optimizer`: what PyTorch's optimiser made of given gradients. */
interface RuleVector {
  readonly options: AdamOptions;
  readonly lr: number;
  readonly shapes: readonly (readonly number[])[];
  readonly start: readonly number[][];
  /** [steps][parameters]. */
  readonly gradients: readonly number[][][];
  readonly after: Readonly<Record<string, number[][]>>;
  readonly norms: readonly number[];
}

const vectors: RuleVector[] = JSON.parse(
  readFileSync(new URL('../../fixtures/optimizer/adam.json', import.meta.url), 'utf8'),
);

describe.each(vectors)('five steps of PyTorch with $options', (vector) => {
  const { options, lr: rate, shapes: sizes, start, gradients, after, norms } = vector;

  test('are those of the reference', () => {
    const { clip_norm = Infinity } = options;
    const values = start.map((own) => Float64Array.from(own));
    const moments = values.map(({ length }) => zeroMoments(length));
    for (const [step, given] of gradients.entries()) {
      const norm = Math.hypot(...given.flat());
      expect(norm).toBeCloseTo(norms[step], 9);
      for (const [i, own] of given.entries()) {
        const scaled = Float64Array.from(own, (value) => value * Math.min(1, clip_norm / (norm + 1e-6)));
        adamStep(values[i], scaled, moments[i], step + 1, rate, adamOf(options));
        const expected = after[step + 1];
        if (expected) {
          expect(maxDistance(Float32Array.from(values[i]), Float64Array.from(expected[i]))).toBeLessThan(
            1e-7,
          );
        }
      }
    }
  });

  test('are those of the kernels', async () => {
    await onBench(gpu, async (bench) => {
      let states = start.map((own) => {
        const zeros = new Float32Array(own.length);
        return { parameters: Float32Array.from(own), moments: [zeros, zeros] as Updating['moments'] };
      });
      for (const [step, given] of gradients.entries()) {
        const all = given.map((own) => Float32Array.from(own));
        const { clip_norm } = options;
        const scale = clip_norm === undefined ? 1 : (await clip(bench, all, clip_norm)).scale;
        states = await Promise.all(
          states.map(({ parameters, moments }, i) =>
            update(
              bench,
              sizes[i],
              { parameters, gradient: all[i], moments },
              { t: step + 1, lr: rate, options, scale },
            ),
          ),
        );
        for (const [i, expected] of (after[step + 1] ?? []).entries()) {
          const distance = maxDistance(states[i].parameters, Float64Array.from(expected));
          expect(distance, `step ${step + 1}`).toBeLessThan(rate * 1e-4);
        }
      }
    });
  });
});

describe('clipping', () => {
  test('is by the norm over all gradients together', async () => {
    await shapes(gpu, async (bench, { rows, columns, random }) => {
      const all = [reals(random, rows, -2, 2), reals(random, columns * 9, -2, 2)];
      const whole = Math.hypot(...all.map((gradient) => Math.hypot(...gradient)));
      // A limit is compiled in: two of them, and gradients beyond and within.
      for (const [clip_norm, times] of [
        [0.7, 3],
        [25, 0.3],
      ]) {
        const gradients = all.map((gradient) => gradient.map((value) => (value * times * clip_norm) / whole));
        const norm = Math.hypot(...gradients.map((gradient) => Math.hypot(...gradient)));
        const { scale, halted, fault } = await clip(bench, gradients, clip_norm);
        expect([scale]).toBeCloseTensor([Math.min(1, clip_norm / (norm + 1e-6))], tolerance);
        expect([halted, fault]).toEqual([0, 0]);
      }
    });
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 1e30])(
    '%s halts, and is called the gradient’s fault',
    async (value) => {
      await onBench(gpu, async (bench) => {
        const gradient = new Float32Array(100).fill(0.5).with(77, value);
        expect(await clip(bench, [new Float32Array(5), gradient], 1)).toMatchObject({ halted: 1, fault: 2 });
      });
    },
  );
});
