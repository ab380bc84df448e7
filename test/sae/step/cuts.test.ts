import { expect, test } from 'vitest';
import type { TrainOptions } from '../../../src/sae/config.js';
import { Model } from '../../../src/sae/model/model.js';
import type { SparsityName } from '../../../src/sae/sparsity/index.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { gpuOfFile, useMostWork } from '../../support/device.js';
import { byteRows, sameParameters } from '../../support/models.js';

const gpu = await gpuOfFile();
const dataset = byteRows(37, 21, 1);

const cases: Partial<TrainOptions<SparsityName>>[] = [
  { sparsity: 'kl' },
  { sparsity: 'l1', decoder_norm: 'unit', clip_norm: 1 },
  { sparsity: 'jumprelu' },
  { sparsity: 'topk', revive: 'none', k: 40 },
  { sparsity: 'topk', k: 3, dead_after: 20, auxk_loss: 'sparsify', rescale_acts_by_decoder_norm: true },
  { sparsity: 'batchtopk', k: 3, dead_after: 20, auxk_loss: 'openai', rescale_acts_by_decoder_norm: true },
  { sparsity: 'matryoshka', k: 3, clip_norm: 1, rescale_acts_by_decoder_norm: true },
];

/** What does one thing for a whole batch or matrix, and is not cut. */
const whole = /metrics|sparsity\/(?!topk)|optimizer|rows\/gather|clear|count|offsets|dead|auxk|output_bias/;

test.each(cases)('a training makes the same bits in dispatches of little work: %j', async (own) => {
  const options = { lr: 0.01, batch_size: 15, seed: 5, ...own } as TrainOptions<SparsityName>;
  const train = async () => {
    const model = await Model.create(gpu, { in_dims: 21, h_dims: [75], pre_bias: true }, 5);
    const trainer = await Trainer.create<SparsityName>(model, dataset, options);
    const { program } = trainer.step;
    const losses: number[] = [];
    for await (const { steps } of trainer.steps({ count: 6 })) {
      losses.push(...steps.map(({ loss }) => loss));
    }
    const parameters = await model.parameters();
    const names = Array.from({ length: program.length }, (_, i) => program.name(i));
    const { work } = program;
    trainer.close();
    model.close();
    return { losses, parameters, names, work };
  };
  const one = await train();
  const limit = 40_000;
  const many = await useMostWork(gpu, limit, train);
  expect(many.losses).toEqual(one.losses);
  expect(sameParameters(many.parameters, one.parameters)).toBe(true);
  expect(many.names.length).toBeGreaterThan(1.5 * one.names.length);
  // A line alone may be more than that: one of the decoder, and the entries of a latent or a row.
  const over = many.names.filter((name, i) => many.work[i] > limit && !whole.test(name));
  expect(over).toEqual([]);
});
