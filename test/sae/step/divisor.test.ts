import { describe, expect, test } from 'vitest';
import type { TrainOptions } from '../../../src/sae/config.js';
import { Model } from '../../../src/sae/model/model.js';
import type { SparsityName } from '../../../src/sae/sparsity/index.js';
import { evaluate } from '../../../src/sae/training/evaluate.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { losses } from '../../reference/autoencoder.js';
import { gatherRows } from '../../reference/gather.js';
import { ReferenceTrainer } from '../../reference/trainer.js';
import '../../support/compare.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, plain, toReference } from '../../support/models.js';

const gpu = await gpuOfFile();

// A batch of 16 rows, one of 7, and one of a single row, which has no variance.
const rows = byteRows(24, 13, 4);
const batches = [
  [0, 16],
  [16, 23],
  [23, 24],
];

describe.each<[SparsityName, number[], object]>([
  ['kl', [7, 5], { sparsity_lambda: 0.1, sparsity_target: 0.05 }],
  ['l1', [9], { sparsity_lambda: 0.1 }],
  ['topk', [30], { k: 4 }],
  ['topk', [300], { k: 4 }],
  ['matryoshka', [40], { k: 4, matryoshka: [10, 40] }],
])('%s with layers of %j and reconstruction fvu', (sparsity, h_dims, own) => {
  const sizes = { in_dims: 13, h_dims, activation: 'relu' as const, pre_bias: true };
  const options = { sparsity, reconstruction: 'fvu', shuffle: false, lr: 0.01, ...plain, ...own };

  test('has the losses and makes the steps of the reference', async () => {
    const model = await Model.create(gpu, sizes, 5);
    const all = rows.data.subarray(0, 23 * 13);
    const two = { ...rows, rows: 23, data: all };
    const training = { ...options, batch_size: 16, epochs: 2 } as TrainOptions<SparsityName>;
    const trainer = await Trainer.create<SparsityName>(model, two, training);
    const reference = new ReferenceTrainer(
      { ...sizes, ...options } as never,
      toReference(await model.parameters()),
    );
    let n = 0;
    for await (const { steps } of trainer.steps({ count: 4 })) {
      for (const { loss, mse } of steps) {
        const [first, end] = batches[n++ % 2];
        const order = Array.from({ length: end - first }, (_, i) => first + i);
        const expected = reference.step(gatherRows(rows.data, 13, order, rows.normalization)).losses;
        expect([loss, mse]).toBeCloseTensor([expected.loss, expected.mse], 1e-5);
      }
    }
    for (const [name, { data }] of await model.parameters()) {
      if (name.endsWith('threshold')) continue;
      expect(data, name).toBeCloseTensor(reference.parameters[name].data, 1e-4);
    }
    trainer.close();
    model.close();
  });

  test.skipIf('sparsity_lambda' in own)('gives a batch without variance no weight', async () => {
    const model = await Model.create(gpu, sizes, 5);
    const one = { ...rows, rows: 1, data: rows.data.subarray(0, 13) };
    const training = { ...options, batch_size: 16, epochs: 1 } as TrainOptions<SparsityName>;
    const trainer = await Trainer.create<SparsityName>(model, one, training);
    for await (const { mse, loss } of trainer.epochs()) {
      expect(mse).toBeGreaterThan(0.01);
      expect(loss).toBeLessThan(1e-20);
    }
    trainer.close();
    model.close();
  });

  test('is measured so', async () => {
    const model = await Model.create(gpu, sizes, 5);
    const training = { ...options, batch_size: 16 } as TrainOptions<SparsityName>;
    const one = { ...rows, rows: 16, data: rows.data.subarray(0, 16 * 13) };
    const trainer = await Trainer.create<SparsityName>(model, one, training);
    trainer.close();
    const { loss, mse } = await evaluate<SparsityName>(model, one, training);
    const config = { ...sizes, ...options, trained: true } as never;
    const x = gatherRows(rows.data, 13, [...Array(16).keys()], rows.normalization);
    const expected = losses(config, toReference(await model.parameters()), x);
    expect([loss, mse]).toBeCloseTensor([expected.loss, expected.mse], 1e-5);
    model.close();
  });
});
