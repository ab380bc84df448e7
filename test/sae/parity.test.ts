import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../src/sae/evaluate.js';
import { Model } from '../../src/sae/model.js';
import { Trainer } from '../../src/sae/trainer.js';
import { biasActivation } from '../reference/activation.js';
import {
  gradients,
  layersOf,
  type ParameterSet,
  type ReferenceConfig,
  randomParameters,
} from '../reference/autoencoder.js';
import { columnMeans } from '../reference/column-means.js';
import { gemmNT } from '../reference/gemm.js';
import { seededRandom, uniform } from '../reference/random.js';
import { type ParityVector, parityVectors } from '../reference/vectors.js';
import { relativeError } from '../support/compare.js';
import { familiesOf, gpuOfFile, useFamily } from '../support/device.js';
import { firstGradient, floatRows, modelConfig, toParameters } from '../support/models.js';
import { separateGradients } from '../support/separate-step.js';

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

/** Trains on the vector's rows, all in one batch; `after` is called after each epoch, which is one step. */
async function train(
  { config, x, params }: Pick<ParityVector, 'config' | 'x' | 'params'>,
  steps: number,
  after: (
    step: number,
    trainer: Trainer,
    model: Model,
    metrics: { mse: number; kl: number; loss: number },
  ) => Promise<void>,
) {
  const { rows, lr, sparsity_lambda, sparsity_target } = config;
  const model = await Model.from(gpu, modelConfig(config), toParameters(params));
  const options = { batch_size: rows, epochs: steps, lr, sparsity_lambda, sparsity_target, shuffle: false };
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

describe.each(familiesOf(gpu))('%s tiles', (family) => {
  test.each(parityVectors())('$name', async (vector) => {
    useFamily(gpu, family);
    const layers = layersOf(vector.config);
    const hidden = `${layers[layers.length / 2 - 1].name}.output`;
    const { config, params, x } = vector;
    const untrained = await Model.from(gpu, modelConfig(config), toParameters(params));
    const rows = floatRows(x, config.in_dims);
    compare(vector.name, 'output', await untrained.reconstruct(rows), vector.output);
    const separate = await separateGradients(untrained, rows, config);
    for (const [name, gradient] of Object.entries(vector.grads)) {
      compare(vector.name, `the gradient of ${name}, separate kernels`, separate.get(name)!, gradient);
    }
    untrained.close();
    let steps = 0;
    await train(vector, 10, async (step, trainer, model, metrics) => {
      steps = step;
      const check = (name: string, actual: ArrayLike<number>, expected: ArrayLike<number>) =>
        compare(vector.name, name, actual, expected);
      if (step === 1) {
        const read = (name: string) => trainer.step.tensor(name).read();
        check('hidden', await read(hidden), vector.hidden);
        check('mse', [metrics.mse], [vector.mse]);
        check('kl', [metrics.kl], [vector.kl]);
        check('loss', [metrics.loss], [vector.loss]);
        for (const [name, gradient] of Object.entries(vector.grads)) {
          check(`the gradient of ${name}`, await firstGradient(trainer, name), gradient);
        }
      }
      const expected = vector.params_after[`${step}` as '1' | '2' | '10'];
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

/** Models of one to three layers on a few rows. Of fewer than four units all gradients may cancel at once, by chance. */
const cases: fc.Arbitrary<Case> = fc
  .record({
    in_dims: fc.integer({ min: 4, max: 70 }),
    h_dims: fc.array(fc.integer({ min: 4, max: 70 }), { minLength: 1, maxLength: 3 }),
    rows: fc.integer({ min: 1, max: 40 }),
    activation: fc.constantFrom('relu' as const, 'sigmoid' as const),
    sparsity_lambda: fc.constantFrom(0, 0.2, 3),
    sparsity_target: fc.constantFrom(0.01, 0.3, 0.9),
    lr: fc.constant(1e-3),
    seed: fc.integer(),
  })
  .map(({ seed, ...config }) => {
    const random = seededRandom(seed);
    const parameters = randomParameters(config, random);
    const x = uniform(random, config.rows * config.in_dims, -0.4, 2.8).map(Math.fround);
    return { config, parameters, x };
  });

/**
 * Whether the gradient is a smooth function of the model here. It is not where a ReLU's input is so near 0 that rounding
 * decides on which side it lies, nor where a hidden mean is so near 0 or 0.99 that the penalty's slope, -r/q + (1-r)/(1-q),
 * makes a large error of the mean's rounding: there f32 must differ from f64.
 */
function wellConditioned({ config, parameters, x }: Case): boolean {
  const { rows, h_dims } = config;
  let input = x;
  for (const [i, { name, inputs, outputs, activation }] of layersOf(config).entries()) {
    const product = gemmNT(input, parameters[`${name}.weight`].data, rows, outputs, inputs);
    const sums = biasActivation(product, parameters[`${name}.bias`].data, rows, outputs, 'identity');
    if (activation === 'relu' && sums.some((sum) => Math.abs(sum) < 1e-5)) {
      return false;
    }
    input = biasActivation(sums, new Float64Array(outputs), rows, outputs, activation);
    if (i === h_dims.length - 1) {
      const means = columnMeans(input, rows, outputs);
      if (means.some((mean) => (mean > 0 && mean < 0.02) || (mean > 0.95 && mean < 0.9901))) {
        return false;
      }
    }
  }
  return true;
}

test.each(familiesOf(gpu))('the whole gradient of random models, %s tiles', async (family) => {
  useFamily(gpu, family);
  const property = fc.asyncProperty(cases, async (model) => {
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
  await fc.assert(property, { numRuns: 50 });
});

function largestOf(values: ArrayLike<number>): number {
  return Array.prototype.reduce.call(
    values,
    (most, value) => Math.max(most as number, Math.abs(value)),
    0,
  ) as number;
}

// The device's own loss along the direction of its own gradient: no reference has a part in this.
test.each(['relu-6-4', 'sigmoid-9-5', 'tangent-relu-6'])('differences of the loss of %s', async (name) => {
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
    const { sparsity_lambda, sparsity_target, rows } = vector.config;
    const options = { batch_size: rows, sparsity_lambda, sparsity_target };
    const metrics = await evaluate(model, floatRows(vector.x, vector.config.in_dims), options);
    model.close();
    return metrics.loss;
  }
  const h = 2e-3;
  const slope = ((await loss(h)) - (await loss(-h))) / (2 * h);
  expect(Math.abs(slope / norm - 1)).toBeLessThan(2e-3);
});
