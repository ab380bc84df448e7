import { expect, test } from 'vitest';
import type { Dataset } from '../../../src/sae/rows/dataset.js';
import '../../support/compare.js';
import { losses, type ReferenceConfig, randomParameters, toParameterSet } from '../autoencoder.js';
import { gatherRows } from '../gather.js';
import { seededRandom, uniform } from '../random.js';
import { ReferenceTrainer } from '../trainer.js';
import { parityVectors } from '../vectors.js';

const config = {
  in_dims: 9,
  h_dims: [6, 4],
  activation: 'relu',
  sparsity_lambda: 0.2,
  sparsity_target: 0.05,
  lr: 0.01,
} as const satisfies ReferenceConfig & { lr: number };

const dataset: Dataset = {
  name: 'random bytes',
  rows: 11,
  in_dims: 9,
  data: Uint8Array.from(uniform(seededRandom(3), 99, 0, 256)),
  normalization: { mean: 0.5, std: 0.25 },
};

test('an epoch is its batches in the order given, the last one short', () => {
  const order = [10, 3, 7, 0, 1, 9, 2, 8, 6, 5, 4];
  const start = randomParameters(config, seededRandom(1));
  const trainer = new ReferenceTrainer(config, toParameterSet(start));
  const byHand = new ReferenceTrainer(config, toParameterSet(start));
  const rows = (indices: number[]) => gatherRows(dataset.data, 9, indices, dataset.normalization);
  const steps = [
    byHand.step(rows([10, 3, 7, 0])).losses,
    byHand.step(rows([1, 9, 2, 8])).losses,
    byHand.step(rows([6, 5, 4])).losses,
  ];
  const metrics = trainer.epoch(dataset, order, 4);
  for (const [name, { data }] of Object.entries(byHand.parameters)) {
    expect([...trainer.parameters[name].data], name).toEqual([...data]);
  }
  expect(metrics.loss).toBeCloseTo((steps[0].loss + steps[1].loss + steps[2].loss) / 3, 14);
  expect(metrics.mse).toBeCloseTo((steps[0].mse + steps[1].mse + steps[2].mse) / 3, 14);
  expect(metrics.kl).toBeCloseTo((steps[0].terms.kl + steps[1].terms.kl + steps[2].terms.kl) / 3, 14);
  expect(metrics.active).toBeCloseTo(
    (4 * steps[0].active + 4 * steps[1].active + 3 * steps[2].active) / 11,
    14,
  );
});

test('a latent that is active for no row is dead, and keeps its weights', () => {
  const start = randomParameters(config, seededRandom(1));
  start['encoder.2.bias'].data.set([-50, 1, -50, 1]);
  const trainer = new ReferenceTrainer(config, toParameterSet(start));
  expect(trainer.epoch(dataset, [0, 1, 2, 3, 4], 2).dead).toBe(2);
  const { data } = trainer.parameters['encoder.2.weight'];
  expect([...data.subarray(0, 6)]).toEqual([...start['encoder.2.weight'].data.subarray(0, 6)]);
  expect([...data.subarray(6, 12)]).not.toEqual([...start['encoder.2.weight'].data.subarray(6, 12)]);
});

test('one step counts its loss from before the update, and training lowers it', () => {
  const { config: settings, params, x, loss } = parityVectors().find(({ name }) => name === 'kl/relu-6-4')!;
  const trainer = new ReferenceTrainer(settings, toParameterSet(params));
  const rows = Float64Array.from(x);
  expect(trainer.step(rows).losses.loss).toBeCloseTo(loss, 12);
  for (let i = 0; i < 200; i++) trainer.step(rows);
  expect(losses(settings, trainer.parameters, rows).loss).toBeLessThan(0.8 * loss);
});

test('a batch of one row, a batch larger than the data, and one latent', () => {
  const narrow = { ...config, h_dims: [1] };
  const order = Array.from({ length: 11 }, (_, i) => i);
  for (const batch_size of [1, 64]) {
    const trainer = new ReferenceTrainer(narrow, randomParameters(narrow, seededRandom(2)));
    const metrics = trainer.epoch(dataset, order, batch_size);
    expect(Number.isFinite(metrics.loss)).toBe(true);
    expect(metrics.loss).toBeCloseTo(
      metrics.mse + 0.2 * (metrics.kl - 0.05 * Math.log(0.05) - 0.95 * Math.log(0.95)),
      6,
    );
  }
});
