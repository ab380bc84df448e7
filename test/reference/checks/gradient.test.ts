import fc from 'fast-check';
import { expect, test } from 'vitest';
import '../../support/compare.js';
import {
  forward,
  gradients,
  losses,
  type ParameterSet,
  type ReferenceConfig,
  randomParameters,
  tie,
} from '../autoencoder.js';
import { columnMeans } from '../column-means.js';
import { seededRandom, uniform } from '../random.js';

const step = 1e-6;

interface Case {
  config: ReferenceConfig;
  parameters: ParameterSet;
  x: Float64Array;
}

/** Small models of one to three layers; `hot` lifts the hidden means beyond 0.99. */
function cases(hot: boolean): fc.Arbitrary<Case> {
  const width = fc.integer({ min: 1, max: 6 });
  return fc
    .record({
      in_dims: width,
      h_dims: fc.array(width, { minLength: 1, maxLength: 3 }),
      rows: width,
      activation: fc.constantFrom('relu' as const, 'sigmoid' as const),
      sparsity_lambda: fc.constantFrom(0, 0.2, 3),
      sparsity_target: fc.constantFrom(0.01, 0.3, 0.9),
      seed: fc.integer(),
    })
    .map(({ rows, seed, ...options }) => {
      const config = { ...options, tied: seed % 2 === 0 && options.h_dims.length === 1 };
      const random = seededRandom(seed);
      const parameters = randomParameters(config, random);
      const bias = parameters[`encoder.${2 * config.h_dims.length - 2}.bias`].data;
      const lift = hot ? (config.activation === 'relu' ? 2.5 : 7) : 0.1;
      for (let i = 0; i < bias.length; i++) bias[i] = lift + 0.2 * Math.abs(bias[i]);
      return { config, parameters, x: uniform(random, rows * config.in_dims, -0.4, 2.8) };
    });
}

/** Which hidden units are on: where two points differ in this, a ReLU's kink lies between them. */
function pattern({ config, parameters, x }: Case): string {
  return forward(config, parameters, x)
    .outputs.map((layer) => layer.map((value) => (value > 0 ? 1 : 0)).join(''))
    .join();
}

function hiddenMeans({ config, parameters, x }: Case): Float64Array {
  const rows = x.length / config.in_dims;
  return columnMeans(forward(config, parameters, x).hidden, rows, config.h_dims[config.h_dims.length - 1]);
}

function checkGradient(model: Case): void {
  const { config, parameters, x } = model;
  // Near a mean of 0 the penalty is too curved for a difference quotient.
  fc.pre(hiddenMeans(model).every((mean) => mean === 0 || mean > 0.01));
  const {
    grads,
    losses: { loss },
  } = gradients(config, parameters, x);
  const here = pattern(model);
  for (const name of Object.keys(grads)) {
    const { data } = parameters[name];
    const set = (i: number, value: number) => {
      data[i] = value;
      if (config.tied) tie(parameters);
    };
    const numeric = data.map((value, i) => {
      set(i, value + step);
      const above = losses(config, parameters, x).loss;
      fc.pre(config.activation === 'sigmoid' || pattern(model) === here);
      set(i, value - step);
      const below = losses(config, parameters, x).loss;
      fc.pre(config.activation === 'sigmoid' || pattern(model) === here);
      set(i, value);
      return (above - below) / (2 * step);
    });
    // Rounding alone makes a loss wrong by some 1e-16 of itself, and the quotient by a million times that.
    const noise = 1e-9 * Math.max(1, loss);
    const scale = Math.max(...numeric.map(Math.abs));
    const worst = Math.max(...grads[name].map((g, i) => Math.abs(g - numeric[i])));
    expect(worst, name).toBeLessThan(1e-6 * scale + noise);
  }
}

test.each([
  ['below', false],
  ['beyond', true],
])('the whole gradient is that of the loss, means %s 0.99', (_, hot) => {
  let checked = 0;
  let tied = 0;
  let beyond = 0;
  fc.assert(
    fc.property(cases(hot), (model) => {
      checkGradient(model);
      checked++;
      if (model.config.tied) tied++;
      if (hiddenMeans(model).some((mean) => mean > 0.99)) beyond++;
    }),
    { numRuns: 120, seed: 7 },
  );
  expect(tied).toBeGreaterThan(10);
  expect(checked).toBe(120);
  if (hot) expect(beyond).toBe(120);
});

test('beyond 0.99 the penalty pushes every latent down, beyond 1 as well', () => {
  const config: ReferenceConfig = {
    in_dims: 3,
    h_dims: [2],
    activation: 'relu',
    sparsity_lambda: 0.2,
    sparsity_target: 0.01,
  };
  const parameters = randomParameters(config, seededRandom(1));
  for (const name of ['encoder.0.weight', 'decoder.0.weight', 'decoder.0.bias'])
    parameters[name].data.fill(0);
  parameters['encoder.0.bias'].data.set([0.995, 1.5]);
  const { grads, losses: seen } = gradients(config, parameters, new Float64Array(12));
  // With a decoder of zeros nothing but the penalty is left: lambda * (0.99/0.01 - 0.01/0.99) for both latents.
  expect(grads['encoder.0.bias']).toBeCloseTensor([19.79798, 19.79798], 1e-6);
  expect(Number.isFinite(seen.loss)).toBe(true);
});
