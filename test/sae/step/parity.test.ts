import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { TrainOptions } from '../../../src/sae/config.js';
import { Model } from '../../../src/sae/model/model.js';
import { optionsOf } from '../../../src/sae/options.js';
import { type SparsityName, sparsityNames, sparsityOf } from '../../../src/sae/sparsity/index.js';
import { evaluate } from '../../../src/sae/training/evaluate.js';
import type { EpochMetrics } from '../../../src/sae/training/metrics.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { biasActivation } from '../../reference/activation.js';
import {
  forward,
  gradients,
  layersOf,
  type ParameterSet,
  type ReferenceConfig,
  randomParameters,
  thresholdOf,
} from '../../reference/autoencoder.js';
import { columnMeans } from '../../reference/column-means.js';
import { gemmNT } from '../../reference/gemm.js';
import { seededRandom, uniform } from '../../reference/random.js';
import { type ParityVector, parityVectors } from '../../reference/vectors.js';
import { relativeError } from '../../support/compare.js';
import { familiesOf, gpuOfFile, mainFamily, useFamily } from '../../support/device.js';
import { long } from '../../support/long.js';
import { firstGradient, floatRows, modelConfig, plain, toParameters } from '../../support/models.js';

const gpu = await gpuOfFile();
const tolerance = 1e-5;

/** The largest error of all, for the line at the end. */
const largest = { error: 0, tensor: '', vector: '' };

afterAll(() => {
  console.log(`parity: largest error ${largest.error} in ${largest.tensor} of ${largest.vector}`);
});

function compare(vector: string, tensor: string, actual: ArrayLike<number>, expected: ArrayLike<number>) {
  const error = relativeError(actual, expected);
  if (error > largest.error) {
    Object.assign(largest, { error, tensor, vector });
  }
  expect(actual, tensor).toBeCloseTensor(expected, tolerance);
}

/** The part of a vector's configuration that is about training, all of its rows in one batch. */
function trainOptions({
  in_dims: _,
  h_dims: _h,
  activation: _a,
  pre_bias: _p,
  tied: _t,
  rows,
  ...training
}: ParityVector['config']): TrainOptions<SparsityName> {
  return { ...plain, ...training, batch_size: rows } as TrainOptions<SparsityName>;
}

/** Trains on the vector's rows, all in one batch; `after` is called after each epoch, which is one step. */
async function train(
  { config, x, params }: Pick<ParityVector, 'config' | 'x' | 'params'>,
  steps: number,
  after: (
    step: number,
    trainer: Trainer<SparsityName>,
    model: Model,
    metrics: EpochMetrics<SparsityName>,
  ) => Promise<void>,
) {
  const model = await Model.from(gpu, modelConfig(config), toParameters(params));
  const options = {
    ...trainOptions(config),
    epochs: steps,
    shuffle: false,
  } as TrainOptions<SparsityName>;
  const trainer = await Trainer.create(model, floatRows(x, config.in_dims), options);
  try {
    for await (const metrics of trainer.epochs()) {
      await after(metrics.epoch, trainer, model, metrics);
    }
  } finally {
    trainer.close();
    model.close();
  }
}

// A kernel is what reads A, what reads B, loops, and what is done with a finished block of C: to the loops of a family the
// others are functions of places. So one family takes all models, and each of the others those whose step has every
// kind of product once; which activation or penalty is in it makes no difference to loops.
const main = mainFamily(gpu);
const isPlain = ({ h_dims, activation, sparsity }: ReferenceConfig) =>
  h_dims.length === 1 && activation === 'relu' && (sparsity ?? 'kl') === 'kl';

const families = familiesOf(gpu).filter((family) => long || family === main);

describe.each(families)('%s tiles', (family) => {
  const vectors = parityVectors().filter(({ config }) => family === main || isPlain(config));
  test.each(vectors)('$name', async (vector) => {
    useFamily(gpu, family);
    const layers = layersOf(vector.config);
    const hidden = `${layers[layers.length / 2 - 1].name}.output`;
    const { config, params, x } = vector;
    // Once trained it would keep what is above a threshold.
    const batch = config.sparsity === 'batchtopk' || config.sparsity === 'matryoshka';
    if (family === main && !batch) {
      const untrained = await Model.from(gpu, modelConfig(config), toParameters(params));
      const rows = floatRows(x, config.in_dims);
      compare(vector.name, 'output', await untrained.reconstruct(rows), vector.output);
      untrained.close();
    }
    let steps = 0;
    await train(vector, 10, async (step, trainer, model, metrics) => {
      steps = step;
      const check = (name: string, actual: ArrayLike<number>, expected: ArrayLike<number>) =>
        compare(vector.name, name, actual, expected);
      if (step === 1) {
        const read = (name: string) => trainer.step.tensor(name).read();
        if (!trainer.step.build.sparse) {
          check('hidden', await read(hidden), vector.hidden);
        }
        check('mse', [metrics.mse], [vector.mse]);
        for (const [name, value] of Object.entries(vector.terms)) {
          check(name, [metrics[name as 'mse']], [value]);
        }
        check('loss', [metrics.loss], [vector.loss]);
        for (const [name, gradient] of Object.entries(vector.grads)) {
          check(`the gradient of ${name}`, await firstGradient(trainer, name), gradient);
        }
      }
      const expected = vector.params_after[step];
      if (expected) {
        const parameters = await model.parameters();
        expect([...parameters.keys()].sort()).toEqual(Object.keys(expected).sort());
        for (const [name, values] of Object.entries(expected)) {
          check(`${name} after ${step} steps`, parameters.get(name)!.data, values);
        }
      }
    });
    expect(steps).toBe(10);
  });
});

interface Case {
  readonly config: ReferenceConfig & { readonly rows: number; readonly lr: number };
  readonly parameters: ParameterSet;
  readonly x: Float64Array;
}

/** Options of a kind of sparsity: some of `kl`'s targets, either of a flag, some weights and numbers of latents; all else as it is by default. */
function sparsityOptions(sparsity: SparsityName): fc.Arbitrary<object> {
  const { live, fixed } = sparsityOf(sparsity);
  const flags = optionsOf(fixed).filter(({ kind }) => kind === 'flag');
  const options = fc.record({
    sparsity: fc.constant(sparsity),
    ...Object.fromEntries(flags.map(({ name }) => [name, fc.boolean()])),
    ...('sparsity_lambda' in live && { sparsity_lambda: fc.constantFrom(0, 0.2, 3) }),
    ...('sparsity_target' in live && { sparsity_target: fc.constantFrom(0.01, 0.3, 0.9) }),
    ...('k' in fixed && { k: fc.integer({ min: 1, max: 4 }) }),
    ...('bandwidth' in fixed && { bandwidth: fc.constantFrom(0.05, 1) }),
    ...('l0_loss' in fixed && { l0: fc.constantFrom(...l0Losses) }),
    reconstruction: fc.constantFrom('mean', 'sum'),
  });
  return options.map(({ l0, ...others }: { readonly l0?: object }) => ({ ...others, ...l0 }));
}

const l0Losses = [{ l0_loss: 'linear' }, { l0_loss: 'quadratic', l0_target: 3 }, { l0_loss: 'tanh' }];

/**
 * Models of one to three layers on a few rows, or of one layer with ReLU. Of fewer than four hidden units all gradients may cancel at
 * once, by chance.
 */
const cases = (plain: boolean): fc.Arbitrary<Case> =>
  fc
    .record({
      in_dims: fc.integer({ min: 4, max: 70 }),
      h_dims: fc.array(fc.integer({ min: 4, max: 70 }), { minLength: 1, maxLength: plain ? 1 : 3 }),
      rows: fc.integer({ min: 1, max: 40 }),
      smooth: plain ? fc.constant('relu' as const) : fc.constantFrom('relu' as const, 'sigmoid' as const),
      sparsity: fc.constantFrom(...(plain ? (['kl'] as const) : sparsityNames)).chain(sparsityOptions),
      pre_bias: plain ? fc.constant(false) : fc.boolean(),
      tied: plain ? fc.constant(false) : fc.boolean(),
      lr: fc.constant(1e-3),
      seed: fc.integer(),
    })
    .map(({ seed, sparsity, smooth, tied, ...sizes }) => {
      // Only the latents of a ReLU can be selected.
      const selects = sparsityOf((sparsity as { sparsity: SparsityName }).sparsity).selection !== undefined;
      const { rescale_acts_by_decoder_norm: rescaled } = sparsity as {
        rescale_acts_by_decoder_norm?: boolean;
      };
      const isLists = rescaled || (sparsity as { sparsity: SparsityName }).sparsity === 'matryoshka';
      const h_dims = sizes.h_dims.slice(0, isLists ? 1 : 3);
      const config = {
        ...sizes,
        h_dims,
        ...sparsity,
        activation: selects ? ('relu' as const) : smooth,
        // Only the weights of one layer can be tied, and not those of lists.
        tied: tied && h_dims.length === 1 && !isLists,
      };
      const random = seededRandom(seed);
      const parameters = randomParameters(config, random);
      const { selection } = modelConfig(config);
      if (selection && 'threshold' in selection) {
        const shape = [selection.threshold === 'each' ? h_dims[h_dims.length - 1] : 1];
        // Some below 0, which act as 0.
        parameters[thresholdOf(config)] = {
          shape,
          data: uniform(random, shape[0], -0.1, 0.4).map(Math.fround),
        };
      }
      const x = uniform(random, config.rows * config.in_dims, -0.4, 2.8).map(Math.fround);
      return { config, parameters, x };
    });

/**
 * Whether the gradient is a smooth function of the model here. It is not where a ReLU's input is so near 0 that rounding
 * decides on which side it lies, nor where two latents are so near each other that it decides which is selected, nor where a hidden mean is so near 0 or 0.99 that the slope of `kl`, -r/q + (1-r)/(1-q),
 * makes a large error of the mean's rounding: there f32 must differ from f64.
 */
function wellConditioned({ config, parameters, x }: Case): boolean {
  const { rows, h_dims } = config;
  const bias = parameters[`decoder.${2 * (h_dims.length - 1)}.bias`].data;
  let input = config.pre_bias ? x.map((value, i) => value - bias[i % config.in_dims]) : x;
  for (const [i, { name, inputs, outputs, activation }] of layersOf(config).entries()) {
    const product = gemmNT(input, parameters[`${name}.weight`].data, rows, outputs, inputs);
    const sums = biasActivation(product, parameters[`${name}.bias`].data, rows, outputs, 'identity');
    if (activation === 'relu' && sums.some((sum) => Math.abs(sum) < 1e-5)) {
      return false;
    }
    input = biasActivation(sums, new Float64Array(outputs), rows, outputs, activation);
    if (i === h_dims.length - 1) {
      const { sparsity, k = 0, bandwidth = 0 } = config;
      if (sparsity === 'topk' && !isClear(input, rows, k)) {
        return false;
      }
      if (
        (sparsity === 'batchtopk' || sparsity === 'matryoshka') &&
        !isClear(input, 1, Math.floor(k * rows))
      ) {
        return false;
      }
      const thresholds = parameters[thresholdOf(config)]?.data;
      const edges = [0, bandwidth / 2, -bandwidth / 2];
      if (
        sparsity === 'jumprelu' &&
        sums.some((sum, j) =>
          edges.some((edge) => Math.abs(sum - Math.max(thresholds[j % outputs], 0) - edge) < 1e-5),
        )
      ) {
        return false;
      }
      input = forward(config, parameters, x).hidden;
    }
    if (i === h_dims.length - 1 && config.sparsity === 'kl') {
      const means = columnMeans(input, rows, outputs);
      if (means.some((mean) => (mean > 0 && mean < 0.02) || (mean > 0.95 && mean < 0.9901))) {
        return false;
      }
    }
  }
  return true;
}

// The wide ones, which are slow to compile, have the vectors.
test.each(familiesOf(gpu).filter((family) => (long ? family !== 'wide' : family === main)))(
  'the whole gradient of random models, %s tiles',
  async (family) => {
    useFamily(gpu, family);
    const property = fc.asyncProperty(cases(family !== main), async (model) => {
      fc.pre(wellConditioned(model));
      const { config, parameters, x } = model;
      const { grads } = gradients(config, parameters, x);
      const params = Object.fromEntries(
        Object.entries(parameters).map(([name, { shape, data }]) => [
          name,
          { shape: [...shape], data: [...data] },
        ]),
      );
      // A small tensor may be what is left of sums that cancel: it is measured on the model's scale.
      const floor = 0.01 * Math.max(...Object.values(grads).map(largestOf));
      await train({ config, x: [...x], params }, 1, async (_step, trainer) => {
        for (const [name, gradient] of Object.entries(grads)) {
          const seen = await firstGradient(trainer, name);
          const scale = largestOf(gradient) > 0 ? [floor] : [];
          expect([...seen, ...scale], name).toBeCloseTensor([...gradient, ...scale], tolerance);
        }
      });
    });
    await fc.assert(property, { numRuns: long ? 60 : 12 });
  },
);

/** Whether the k-th largest of each of so many parts of a code is clearly above the next. */
function isClear(code: Float64Array, parts: number, k: number): boolean {
  const length = code.length / parts;
  return Array.from({ length: parts }, (_, part) => {
    const own = code.filter((value, i) => value > 0 && Math.floor(i / length) === part).sort();
    return !(own[own.length - k] - own[own.length - k - 1] < 1e-5);
  }).every(Boolean);
}

function largestOf(values: ArrayLike<number>): number {
  return Array.prototype.reduce.call(
    values,
    (most, value) => Math.max(most as number, Math.abs(value)),
    0,
  ) as number;
}

// The device's own loss along the direction of its own gradient: no reference has a part in this.
test.each([
  'kl/relu-6-4',
  'kl/sigmoid-9-5',
  'kl/tangent-relu-6',
  'l1/weighted-6-4',
  'l1/weighted-sigmoid-9-5',
])('differences of the loss of %s', async (name) => {
  const vector = parityVectors().find((candidate) => candidate.name === name)!;
  const direction = new Map<string, Float32Array>();
  await train(vector, 1, async (_, trainer) => {
    for (const tensor of Object.keys(vector.params)) {
      direction.set(tensor, await firstGradient(trainer, tensor));
    }
  });
  const norm = Math.hypot(...[...direction.values()].map((values) => Math.hypot(...values)));
  async function loss(distance: number): Promise<number> {
    const moved = toParameters(vector.params);
    for (const [tensor, { data }] of moved) {
      direction.get(tensor)!.forEach((slope, i) => {
        data[i] += (distance * slope) / norm;
      });
    }
    const model = await Model.from(gpu, modelConfig(vector.config), moved);
    const rows = floatRows(vector.x, vector.config.in_dims);
    const metrics = await evaluate(model, rows, trainOptions(vector.config));
    model.close();
    return metrics.loss;
  }
  const h = 2e-3;
  const slope = ((await loss(h)) - (await loss(-h))) / (2 * h);
  expect(Math.abs(slope / norm - 1)).toBeLessThan(2e-3);
});
