import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Model } from '../../../src/sae/model/model.js';
import type { Dataset } from '../../../src/sae/rows/dataset.js';
import { RowMoments } from '../../../src/sae/rows/moments.js';
import { evaluate } from '../../../src/sae/training/evaluate.js';
import { explainedVariance, type StepMetrics } from '../../../src/sae/training/metrics.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { mse } from '../../reference/mse.js';
import { varianceOf } from '../../reference/trainer.js';
import '../../support/compare.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, floatRows } from '../../support/models.js';

const gpu = await gpuOfFile();

/** A model of one latent that gives every row the same: `output`; its latent is `code` in all rows. */
function constant(output: readonly number[], code = 1): Promise<Model> {
  const in_dims = output.length;
  return Model.from(
    gpu,
    { in_dims, h_dims: [1], activation: 'relu' },
    new Map([
      ['encoder.0.weight', { shape: [1, in_dims], data: new Float32Array(in_dims) }],
      ['encoder.0.bias', { shape: [1], data: Float32Array.of(code) }],
      ['decoder.0.weight', { shape: [in_dims, 1], data: new Float32Array(in_dims) }],
      ['decoder.0.bias', { shape: [in_dims], data: Float32Array.from(output) }],
    ]),
  );
}

async function measured(model: Model, rows: Dataset) {
  const metrics = await evaluate(model, rows, { sparsity: 'none', batch_size: 7 });
  model.close();
  return metrics;
}

test('explained variance is that of SAELens, and 1 - fvu of sparsify', () => {
  const file = new URL('../../fixtures/published/explained_variance.json', import.meta.url);
  const { x, x_hat, explained_variance, fvu } = JSON.parse(readFileSync(file, 'utf8'));
  const moments = new RowMoments(12);
  // In two blocks.
  moments.add(Float32Array.from(x.slice(0, 12 * 70)));
  moments.add(Float32Array.from(x.slice(12 * 70)));
  const error = mse(Float64Array.from(x_hat), Float64Array.from(x));
  const seen = explainedVariance(error, moments.squares / x.length);
  expect(seen).toBeCloseTo(explained_variance, 6);
  expect(seen).toBeCloseTo(1 - fvu, 6);
});

test('predicting the mean explains nothing, an offset from it costs, and no value is explained by the mean of all', async () => {
  // The columns have different means.
  const rows = floatRows(Array.from({ length: 40 }, (_, i) => [(i % 5) - 2, 30 + (i % 4) - 1.5]).flat(), 2);
  const { explained_variance } = await measured(await constant([0, 30]), rows);
  expect(explained_variance).toBeCloseTo(0, 6);
  const variance = (2 + 1.25) / 2;
  const offset = await measured(await constant([1, 30]), rows);
  expect(offset.explained_variance).toBeCloseTo(-0.5 / variance, 5);
});

test('of rows that are all equal it is 1 without an error, else 0', async () => {
  const rows = floatRows(new Float32Array(24).fill(0.1), 3);
  expect((await measured(await constant([0.1, 0.1, 0.1]), rows)).explained_variance).toBe(1);
  expect((await measured(await constant([0.1, 0.1, 0.2]), rows)).explained_variance).toBe(0);
  const one = floatRows([3, 4], 2);
  expect((await measured(await constant([3, 0]), one)).explained_variance).toBe(0);
});

test('dense are the latents that are active for more than a tenth of the rows, over all batches', async () => {
  // Latent i is active where value i is above 0.
  const shares = [0, 1, 4, 5, 40];
  const rows = floatRows(
    Array.from({ length: 40 }, (_, row) => shares.map((share) => ((row * 7) % 40 < share ? 1 : -1))).flat(),
    5,
  );
  const identity = Float32Array.from({ length: 25 }, (_, i) => Number(i % 6 === 0));
  const bias = { shape: [5], data: new Float32Array(5) };
  const weight = { shape: [5, 5], data: identity };
  const model = await Model.from(
    gpu,
    { in_dims: 5, h_dims: [5], activation: 'relu' },
    new Map([
      ['encoder.0.weight', weight],
      ['encoder.0.bias', bias],
      ['decoder.0.weight', weight],
      ['decoder.0.bias', bias],
    ]),
  );
  expect(await measured(model, rows)).toMatchObject({ dead: 1, dense: 2, active: 50 / 40 });
});

test('a step’s explained variance is of its batch’s errors and all rows’ variance; in windows, of the rows so far', async () => {
  const rows = byteRows(50, 9, 3);
  const whole = varianceOf(rows);
  for (const window_rows of [undefined, 20]) {
    const model = await Model.create(gpu, { in_dims: 9, h_dims: [6] }, 3);
    const options = { batch_size: 10, epochs: 2, shuffle: false, lr: 1e-3 };
    const trainer = await Trainer.create(model, rows, options, { window_rows });
    const all: StepMetrics[] = [];
    const epochs: { explained_variance: number; mse: number }[] = [];
    for await (const { steps, epoch } of trainer.steps({ count: 10 })) {
      all.push(...steps);
      if (epoch) epochs.push(epoch);
    }
    for (const { step, mse: error, explained_variance } of all) {
      // 20, 40 and 50 rows have been read when a step of the first, second or third window begins.
      const seen = window_rows && step <= 4 ? (step <= 2 ? 20 : 40) : 50;
      const part = { ...rows, rows: seen, data: rows.data.subarray(0, seen * 9) };
      expect(explained_variance, `step ${step}`).toBeCloseTo(1 - error / varianceOf(part), 6);
    }
    // Batches have as many rows each, so that their mean is that of the rows.
    for (const { mse: error, explained_variance } of epochs) {
      expect(explained_variance).toBeCloseTo(1 - error / whole, 6);
    }
    expect(epochs).toHaveLength(2);
    trainer.close();
    model.close();
  }
});

test('a training that is resumed within its first epoch has the metrics of one that was not', async () => {
  const rows = byteRows(50, 9, 3);
  const options = { batch_size: 10, epochs: 2, lr: 1e-3, seed: 4 };
  const model = await Model.create(gpu, { in_dims: 9, h_dims: [6] }, 3);
  const trainer = await Trainer.create(model, rows, options, { window_rows: 20 });
  for await (const _ of trainer.steps({ count: 3 }));
  const snapshot = await trainer.snapshot();
  const goOn = async (one: Trainer) => {
    const seen: StepMetrics[] = [];
    const dense: number[] = [];
    for await (const { steps, epoch } of one.steps({ count: 7 })) {
      seen.push(...steps);
      if (epoch) dense.push(epoch.dense, epoch.dead, epoch.explained_variance);
    }
    return { seen, dense };
  };
  const resumed = await Trainer.resume(gpu, rows, snapshot);
  const expected = await goOn(trainer);
  expect(await goOn(resumed)).toEqual(expected);
  expect(expected.dense).toHaveLength(6);
  for (const one of [trainer, resumed]) {
    one.close();
    one.model.close();
  }
});
