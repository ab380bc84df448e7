import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Dataset } from '../../src/sae/dataset.js';
import { Model } from '../../src/sae/model.js';
import { Trainer } from '../../src/sae/trainer.js';
import { digits, type Figures, initialParameters, referenceEpochs, seeds } from '../support/default-job.js';
import { gpuOfFile } from '../support/device.js';
import { sameParameters } from '../support/models.js';

const gpu = await gpuOfFile();

/** What the reference gave for each seed, from the same weights and with the rows in the same orders. */
const reference: Record<string, Figures[]> = JSON.parse(
  readFileSync(new URL('../fixtures/default-job/reference.json', import.meta.url), 'utf8'),
);
/** What the original gave in PyTorch after 120 epochs of these digits: its own weights and orders. */
const original = { loss: 0.75, mse: 0.459 };

async function train(dataset: Dataset, seed: number, epochs: number) {
  const model = await Model.create(gpu, {}, seed);
  const trainer = await Trainer.create(model, dataset, { seed, epochs });
  try {
    const start = await model.parameters();
    const figures: (Figures & { active: number })[] = [];
    for await (const epoch of trainer.epochs()) {
      figures.push(epoch);
    }
    return { start, figures };
  } finally {
    trainer.close();
    model.close();
  }
}

const off = (actual: number, expected: number) => Math.abs(actual / expected - 1);

describe('the default job on 10,000 real digits', () => {
  test('the reference\u2019s figures are those of the reference', async () => {
    const { value } = referenceEpochs(await digits(), 1).next();
    expect(value.loss).toBeCloseTo(reference[1][0].loss, 8);
    expect(value.mse).toBeCloseTo(reference[1][0].mse, 8);
  });

  test.each(seeds)('its first epochs, seed %d', async (seed) => {
    const { start, figures } = await train(await digits(), seed, 10);
    expect(
      sameParameters(start, initialParameters({ in_dims: 784, h_dims: [20], activation: 'relu' }, seed)),
    ).toBe(true);
    for (const expected of reference[seed].filter(({ epoch }) => epoch <= 10)) {
      const { loss, mse } = figures[expected.epoch - 1];
      console.log(seed, expected.epoch, off(loss, expected.loss), off(mse, expected.mse));
      expect(off(loss, expected.loss)).toBeLessThan(0.03);
      expect(off(mse, expected.mse)).toBeLessThan(0.03);
    }
  });

  test('all of its 120 epochs', async () => {
    const { figures } = await train(await digits(), 1, 120);
    const { loss, mse, active } = figures[119];
    const expected = reference[1].find(({ epoch }) => epoch === 120)!;
    for (const expected of reference[1]) {
      const { loss, mse } = figures[expected.epoch - 1];
      console.log(expected.epoch, off(loss, expected.loss), off(mse, expected.mse));
    }
    expect(off(loss, expected.loss)).toBeLessThan(0.03);
    expect(off(mse, expected.mse)).toBeLessThan(0.03);
    expect(off(loss, original.loss)).toBeLessThan(0.03);
    expect(off(mse, original.mse)).toBeLessThan(0.03);
    expect(active).toBeGreaterThan(2);
    expect(active).toBeLessThan(3);
  });
});
