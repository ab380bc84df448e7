import { afterAll, describe, expect, test } from 'vitest';
import { Model } from '../../src/sae/model.js';
import { Trainer } from '../../src/sae/trainer.js';
import '../support/compare.js';
import { relativeError } from '../support/compare.js';
import { familiesOf, gpuOfFile, useFamily } from '../support/device.js';
import { byteRows, firstGradient, floatRows } from '../support/models.js';
import { separateGradients } from '../support/separate-step.js';

const gpu = await gpuOfFile();
let largest = 0;

afterAll(() => console.log(`fused against separate kernels: largest error ${largest}`));

const settings = { sparsity_lambda: 0.2, sparsity_target: 0.05 };
const floats = (rows: number, in_dims: number) => {
  const { data } = byteRows(rows, in_dims, 5);
  return floatRows(
    Array.from(data, (value) => value / 128 - 0.5),
    in_dims,
  );
};

/** Each class of shape: thin, square, wide, deep, one of everything, and sizes that no tile divides. */
const cases = [
  { rows: 64, in_dims: 784, h_dims: [20], activation: 'relu' },
  { rows: 64, in_dims: 784, h_dims: [64, 32], activation: 'sigmoid' },
  { rows: 33, in_dims: 301, h_dims: [257], activation: 'relu' },
  { rows: 128, in_dims: 128, h_dims: [128], activation: 'sigmoid' },
  { rows: 7, in_dims: 30, h_dims: [301, 19, 45], activation: 'relu' },
  { rows: 1, in_dims: 1, h_dims: [1], activation: 'sigmoid' },
] as const;

describe.each(familiesOf(gpu))('%s tiles', (family) => {
  test.each(cases)(
    '$rows rows of $in_dims, $h_dims, $activation',
    async ({ rows, in_dims, h_dims, activation }) => {
      useFamily(gpu, family);
      for (const dataset of [byteRows(rows, in_dims, 3), floats(rows, in_dims)]) {
        // A seed with which no unit is only just active: its divergence's slope multiplies rounding a thousandfold.
        const model = await Model.create(gpu, { in_dims, h_dims: [...h_dims], activation }, 2);
        const separate = await separateGradients(model, dataset, settings);
        const trainer = await Trainer.create(model, dataset, {
          ...settings,
          batch_size: rows,
          epochs: 1,
          shuffle: false,
        });
        for await (const _ of trainer.epochs()) {
          for (const [name, gradient] of separate) {
            const fused = await firstGradient(trainer, name);
            largest = Math.max(largest, relativeError(fused, gradient));
            expect(fused, name).toBeCloseTensor(gradient, 1e-5);
          }
        }
        trainer.close();
        model.close();
      }
    },
  );
});
