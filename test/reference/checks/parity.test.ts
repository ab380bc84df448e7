import { describe, expect, test } from 'vitest';
import { sparsityNames, sparsityOf } from '../../../src/sae/sparsity/index.js';
import { relativeError } from '../../support/compare.js';
import { forward, gradients, losses, randomParameters, toParameterSet } from '../autoencoder.js';
import { ReferenceTrainer } from '../trainer.js';
import { parityVectors } from '../vectors.js';

// The figures have 10 significant digits.
const tolerance = 1e-9;
const vectors = parityVectors();

test('every kind of sparsity but none has vectors of all activations that it allows and of several layers', () => {
  for (const sparsity of sparsityNames.filter((name) => name !== 'none')) {
    const configs = vectors.filter(({ name }) => name.startsWith(`${sparsity}/`)).map(({ config }) => config);
    expect(new Set(configs.map(({ activation }) => activation)), sparsity).toEqual(
      new Set(sparsityOf(sparsity).selection ? ['relu'] : ['relu', 'sigmoid']),
    );
    // Matryoshka's models have one layer.
    expect(Math.max(...configs.map(({ h_dims }) => h_dims.length)), sparsity).toBeGreaterThan(
      sparsity === 'matryoshka' ? 0 : 1,
    );
  }
});

describe.each(vectors)('$name', ({ config, x, params, ...expected }) => {
  const rows = Float64Array.from(x);

  test('names and shapes are those of the state_dict', () => {
    const shapes = (set: Record<string, { shape: readonly number[] }>) =>
      Object.entries(set).map(([name, { shape }]) => [name, shape]);
    expect(shapes(randomParameters(config, () => 0.5))).toEqual(shapes(params));
  });

  test('forward pass and losses', () => {
    const parameters = toParameterSet(params);
    const { hidden, output } = forward(config, parameters, rows);
    expect(hidden).toBeCloseTensor(expected.hidden, tolerance);
    expect(output).toBeCloseTensor(expected.output, tolerance);
    const { mse, penalty, terms, loss, active } = losses(config, parameters, rows);
    expect(mse).toBeCloseTo(expected.mse, 12);
    expect(penalty).toBeCloseTo(expected.penalty, 12);
    // AuxK is 0 where no latent is dead, and older files do not name it.
    expect(Object.keys({ ...(terms.auxk === 0 && { auxk: 0 }), ...expected.terms }).sort()).toEqual(
      Object.keys(terms).sort(),
    );
    for (const [name, value] of Object.entries(expected.terms)) {
      expect(terms[name], name).toBeCloseTo(value, 10);
    }
    expect(loss).toBeCloseTo(expected.loss, 12);
    const threshold = config.activation === 'relu' ? 0 : 0.5;
    expect(active).toBeCloseTo(expected.hidden.filter((h) => h > threshold).length / config.rows, 12);
  });

  test('gradient', () => {
    const { grads, losses: seen } = gradients(config, toParameterSet(params), rows);
    expect(Object.keys(grads).sort()).toEqual(Object.keys(expected.grads).sort());
    for (const [name, gradient] of Object.entries(expected.grads)) {
      expect(grads[name], name).toBeCloseTensor(gradient, tolerance);
    }
    expect(seen).toEqual(losses(config, toParameterSet(params), rows));
  });

  test('parameters after some Adam steps', () => {
    const trainer = new ReferenceTrainer(config, toParameterSet(params));
    for (let step = 1; step <= 10; step++) {
      trainer.step(rows);
      const after = expected.params_after[step];
      if (!after) continue;
      for (const [name, values] of Object.entries(after)) {
        expect(trainer.parameters[name].data, `${name} after ${step}`).toBeCloseTensor(values, tolerance);
      }
    }
  });
});

test('the largest error over all vectors is at the level of their rounding', () => {
  let largest = 0;
  for (const { config, x, params, grads } of vectors) {
    const computed = gradients(config, toParameterSet(params), Float64Array.from(x)).grads;
    for (const name of Object.keys(grads)) {
      largest = Math.max(largest, relativeError(computed[name], grads[name]));
    }
  }
  expect(largest).toBeLessThan(1e-9);
  expect(largest).toBeGreaterThan(0);
});
