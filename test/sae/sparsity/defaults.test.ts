import { expect, test } from 'vitest';
import {
  parseModelConfig,
  parseTrainConfig,
  type TrainConfig,
  type TrainOptions,
} from '../../../src/sae/config.js';
import { Model } from '../../../src/sae/model/model.js';
import { type SparsityName, sparsityNames } from '../../../src/sae/sparsity/index.js';
import { deadAfter } from '../../../src/sae/step/silent-rows.js';
import { settingsAt } from '../../../src/sae/training/schedule.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { digits } from '../../support/default-job.js';
import { gpuOfFile } from '../../support/device.js';
import { long } from '../../support/long.js';

const gpu = await gpuOfFile('chosen');
const selecting = ['topk', 'batchtopk', 'matryoshka'] as const;
const one = { h_dims: [40] };

test.each(selecting)('%s revives dead latents, where its code can be lists', (sparsity) => {
  const parse = (options: object, model = one) =>
    parseTrainConfig<SparsityName>({ sparsity, ...options } as TrainOptions<SparsityName>, model);
  const revived = { lr: 1e-3, decoder_norm: 'none', revive: 'auxk', auxk_loss: 'saelens', auxk_alpha: 1 };
  expect(parse({})).toMatchObject(revived);
  expect(parse({}, { h_dims: [40, 20] })).toMatchObject({ revive: 'none' });
  expect(parse({}, { h_dims: [40], tied: true } as typeof one)).toMatchObject({ revive: 'none' });
  expect(parse({ revive: 'resample' }, { h_dims: [40, 20] })).toMatchObject({ revive: 'resample' });
  // Each library's own weight.
  for (const auxk_loss of ['dictionary_learning', 'openai', 'sparsify']) {
    expect(parse({ auxk_loss })).toMatchObject({ auxk_alpha: 1 / 32 });
    expect(parse({ auxk_loss, auxk_alpha: 3 })).toMatchObject({ auxk_alpha: 3 });
  }
});

test('a new model subtracts its output bias where the kind of sparsity loses fewer latents so', () => {
  const kinds = sparsityNames.filter((sparsity) => parseModelConfig({}, sparsity).pre_bias);
  expect(kinds).toEqual(['l1', ...selecting, 'jumprelu']);
  expect(parseModelConfig({ pre_bias: false }, 'topk').pre_bias).toBeUndefined();
  expect(parseModelConfig({}).pre_bias).toBeUndefined();
});

test.each([
  [60_000, { epochs: 20 }, 60_000],
  [60_000, { epochs: 5 }, 30_000],
  [10_000, { epochs: 120 }, 10_000],
  [300, { epochs: 1 }, 10_000],
  [1e9, { steps: 100_000, batch_size: 4096 }, 1e7],
  [1e9, { steps: 1000, batch_size: 1024 }, 102_400],
  [300, { dead_after: 7 }, 7],
])('of %d rows, with %o, a latent is dead after %d', (rows, options, expected) => {
  expect(deadAfter(parseTrainConfig(options) as TrainConfig<SparsityName>, rows)).toBe(expected);
});

test('the weight of l1 rises over a twentieth of the run, unless a number of steps is given', () => {
  const weights = (options: object, steps: number) => {
    const config = parseTrainConfig<'l1'>({ sparsity: 'l1', sparsity_lambda: 3, ...options });
    const run = { steps, sizes: { in_dims: 4, h_dims: [4] } };
    return [0, 1, 2, 3].map((step) => settingsAt(config, step, run).sparsity_lambda);
  };
  expect(weights({}, 60)).toEqual([0, 1, 2, 3]);
  expect(weights({}, 19)).toEqual([3, 3, 3, 3]);
  expect(weights({ sparsity_warmup: 0 }, 60)).toEqual([3, 3, 3, 3]);
});

// What a newcomer's first run gives; minutes.
test.runIf(long).each(sparsityNames.filter((name) => name !== 'none'))(
  '%s by default, 512 latents on 10,000 digits: hardly a latent is dead',
  async (sparsity) => {
    const training = { sparsity, epochs: 10, seed: 42 } as TrainOptions<SparsityName>;
    const rows = await digits();
    const model = await Model.create<SparsityName>(gpu, { h_dims: [512] }, training, rows);
    const trainer = await Trainer.create<SparsityName>(model, rows, training);
    for await (const { epoch, dead, explained_variance } of trainer.epochs()) {
      if (epoch === 10) {
        expect(dead).toBeLessThan(0.05 * 512);
        // The original's rate, which kl keeps, is one for a hundred epochs.
        if (sparsity !== 'kl') expect(explained_variance).toBeGreaterThan(0.7);
      }
    }
    trainer.close();
    model.close();
  },
  600_000,
);
