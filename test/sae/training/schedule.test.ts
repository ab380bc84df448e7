import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseTrainConfig, type TrainOptions } from '../../../src/sae/config.js';
import { ConfigError } from '../../../src/sae/errors.js';
import { Model } from '../../../src/sae/model/model.js';
import type { Parameters } from '../../../src/sae/model/parameter.js';
import { type SparsityName, sparsityNames, sparsityOf } from '../../../src/sae/sparsity/index.js';
import { kAt } from '../../../src/sae/sparsity/k.js';
import type { EpochMetrics, StepMetrics } from '../../../src/sae/training/metrics.js';
import { lrFactor, sparsityFactor } from '../../../src/sae/training/schedule.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { isActive } from '../../reference/activation.js';
import { gatherRows } from '../../reference/gather.js';
import { ReferenceTrainer } from '../../reference/trainer.js';
import '../../support/compare.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, plain, rowOrders, sameParameters, toReference, trained } from '../../support/models.js';

const gpu = await gpuOfFile();

/** Of `test/fixtures/schedules`: shares of the full rate, or weights, at each step. */
interface Schedules {
  readonly saelens_lr: readonly {
    readonly training_steps: number;
    readonly warm_up_steps: number;
    readonly decay_steps: number;
    readonly lr_used_at_step: readonly number[];
  }[];
  readonly saelens_coefficient: readonly {
    readonly final_value: number;
    readonly warm_up_steps: number;
    readonly value_used_at_step: readonly number[];
  }[];
  readonly dictionary_learning_lr: readonly {
    readonly total_steps: number;
    readonly warmup_steps: number;
    readonly decay_start?: number;
    readonly factor_at_step: readonly number[];
  }[];
  readonly dictionary_learning_sparsity: readonly {
    readonly sparsity_warmup_steps: number;
    readonly factor_at_step: readonly number[];
  }[];
  readonly dictionary_learning_k: readonly {
    readonly activation_dim: number;
    readonly k: number;
    readonly k_anneal_steps: number;
    readonly k_after_step: readonly number[];
  }[];
  readonly saev_lr: {
    readonly n_warmup: number;
    readonly n_steps: number;
    readonly lr_used_at_step: readonly number[];
  };
  readonly sparsify_lr: {
    readonly lr_warmup_steps: number;
    readonly num_batches: number;
    readonly factor_used_at_step: readonly number[];
  };
}

const schedules: Schedules = JSON.parse(
  readFileSync(new URL('../../fixtures/schedules/schedules.json', import.meta.url), 'utf8'),
);

/** What other programs give, with the options that say the same here; `late` where their warm-up is n / w. */
const rates: [
  program: string,
  steps: number,
  options: { lr_warmup: number; lr_decay: 'none' | 'linear' | 'cosine'; lr_decay_steps?: number },
  factors: readonly number[],
  late: boolean,
][] = [
  ...schedules.saelens_lr.map((own): (typeof rates)[number] => {
    const decay = own.decay_steps > 0 && ({ lr_decay: 'linear', lr_decay_steps: own.decay_steps } as const);
    const options = { lr_warmup: own.warm_up_steps, lr_decay: 'none' as const, ...decay };
    return ['SAELens', own.training_steps, options, own.lr_used_at_step, false];
  }),
  ...schedules.dictionary_learning_lr.map((own): (typeof rates)[number] => {
    const steps = own.total_steps;
    const decay = own.decay_start && {
      lr_decay: 'linear' as const,
      lr_decay_steps: steps - own.decay_start,
    };
    const options = { lr_warmup: own.warmup_steps, lr_decay: 'none' as const, ...decay };
    return ['dictionary_learning', steps, options, own.factor_at_step, true];
  }),
  [
    'saev',
    schedules.saev_lr.n_steps,
    { lr_warmup: schedules.saev_lr.n_warmup, lr_decay: 'cosine' },
    schedules.saev_lr.lr_used_at_step,
    true,
  ],
  [
    'sparsify',
    schedules.sparsify_lr.num_batches,
    { lr_warmup: schedules.sparsify_lr.lr_warmup_steps, lr_decay: 'linear' },
    schedules.sparsify_lr.factor_used_at_step,
    true,
  ],
];

test.each(rates)('the rates are those of %s: %d steps, %o', (_, steps, options, factors, late) => {
  expect(factors.length).toBeGreaterThanOrEqual(steps);
  for (const [n, factor] of factors.entries()) {
    const warming = late && n < options.lr_warmup;
    expect(lrFactor(n, steps, options), `step ${n}`).toBeCloseTo(warming ? factors[n + 1] : factor, 12);
  }
  expect(lrFactor(0, steps, options)).toBeGreaterThan(0);
});

test('the weight of the penalty is that of SAELens and dictionary_learning', () => {
  for (const { final_value, warm_up_steps, value_used_at_step } of schedules.saelens_coefficient) {
    const weights = value_used_at_step.map((_, n) => final_value * sparsityFactor(n, warm_up_steps));
    expect(weights).toBeCloseTensor(value_used_at_step, 1e-12);
  }
  for (const { sparsity_warmup_steps, factor_at_step } of schedules.dictionary_learning_sparsity) {
    const weights = factor_at_step.map((_, n) => sparsityFactor(n, sparsity_warmup_steps));
    expect(weights).toBeCloseTensor(factor_at_step, 1e-12);
  }
});

test('k falls as in dictionary_learning, whose steps are one behind', () => {
  for (const { activation_dim, k, k_anneal_steps, k_after_step } of schedules.dictionary_learning_k) {
    const sizes = { in_dims: activation_dim, h_dims: [2048] };
    const kept = k_after_step.map((_, n) => kAt(n, { k, k_decay: k_anneal_steps }, sizes));
    expect(kept).toEqual(k_after_step);
  }
});

test.each([
  [[40, 9], 8, 4, [9, 8, 8]],
  [[6], 8, 4, [8, 8, 8]],
  [[40], 0.5, 0, [0.5, 0.5, 0.5]],
  [[40], 0.5, 2, [12, 6, 0.5]],
])('with layers of %j, k %d and k_decay %d it begins with %j', (h_dims, k, k_decay, expected) => {
  expect([0, 1, 2].map((n) => kAt(n, { k, k_decay }, { in_dims: 12, h_dims }))).toEqual(expected);
});

test('every kind of sparsity with a weight has a warm-up of it, the others refuse it', () => {
  for (const sparsity of sparsityNames) {
    const parse = () =>
      parseTrainConfig<SparsityName>({ sparsity, sparsity_warmup: 3 } as TrainOptions<SparsityName>);
    if ('sparsity_lambda' in sparsityOf(sparsity).live) {
      expect(parse()).toMatchObject({ sparsity_warmup: 3 });
    } else {
      expect(parse).toThrow(`sparsity_warmup is an option of sparsity `);
    }
  }
});

// SAELens's run of 20 steps, in epochs of three steps, the last of one row; the run ends within the seventh.
const small = { in_dims: 9, h_dims: [6, 4], activation: 'relu' as const };
const dataset = byteRows(17, 9, 1);
const { lr_used_at_step: lrs } = schedules.saelens_lr[2];
const { final_value, value_used_at_step } = schedules.saelens_coefficient[2];
const options = {
  batch_size: 8,
  steps: 20,
  lr: 0.01,
  lr_warmup: 5,
  lr_decay: 'linear',
  lr_decay_steps: 6,
  sparsity_lambda: 0.2,
  sparsity_warmup: 5,
  sparsity_target: 0.05,
  seed: 7,
} satisfies TrainOptions;
/** lr and sparsity_lambda of a step, from 0. */
const settingsOf = (n: number) => ({
  lr: 0.01 * lrs[Math.min(n, 21)],
  sparsity_lambda: (0.2 * value_used_at_step[Math.min(n, 7)]) / final_value,
});

interface Outcome {
  readonly steps: StepMetrics[];
  readonly epochs: EpochMetrics[];
  readonly parameters: Parameters;
}

async function all(trainer: Trainer, count: number): Promise<Outcome> {
  const steps: StepMetrics[] = [];
  const epochs: EpochMetrics[] = [];
  for await (const told of trainer.steps({ count })) {
    steps.push(...told.steps);
    epochs.push(...(told.epoch ? [told.epoch] : []));
  }
  return { steps, epochs, parameters: await trainer.model.parameters() };
}

/** Without what the clock decides. */
const figures = (epochs: readonly EpochMetrics[]) =>
  epochs.map(({ samples_per_second, seconds, ...others }) => others);

async function begun(changed: TrainOptions = {}, rows = dataset): Promise<Trainer> {
  const model = await Model.create(gpu, { ...small, h_dims: [...small.h_dims] }, options.seed);
  return Trainer.create(model, rows, { ...options, ...changed });
}

function close(trainer: Trainer): void {
  trainer.close();
  trainer.model.close();
  expect(gpu.allocatedBytes).toBe(0);
}

test('a run with schedules, cut short within an epoch, is that of the reference with those of SAELens', async () => {
  const trainer = await begun();
  expect(trainer.runSteps).toBe(20);
  const config = { ...small, ...options };
  const reference = new ReferenceTrainer(config, toReference(await trainer.model.parameters()));
  const { steps, epochs, parameters } = await all(trainer, 23);
  expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 23 }, (_, i) => i + 1));
  // The seventh is told of at the end of the run, and once more when training has gone on to its own.
  expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6, 7, 7]);
  const orders = rowOrders(17, options.seed);
  const seen = new Set<number>();
  let order = new Uint32Array();
  let told = 0;
  let sums = { loss: 0, mse: 0, kl: 0, active: 0, rows: 0 };
  for (const [n, step] of steps.entries()) {
    const inEpoch = n % 3;
    if (inEpoch === 0) {
      order = orders.next().value!.slice();
      seen.clear();
      sums = { loss: 0, mse: 0, kl: 0, active: 0, rows: 0 };
    }
    const batch = order.slice(inEpoch * 8, inEpoch * 8 + 8);
    const settings = settingsOf(n);
    Object.assign(config, settings);
    const { losses, hidden } = reference.step(gatherRows(dataset.data, 9, batch, dataset.normalization));
    expect([step.lr, step.sparsity_lambda]).toBeCloseTensor([settings.lr, settings.sparsity_lambda], 1e-12);
    expect([step.loss, step.mse], `step ${n}`).toBeCloseTensor([losses.loss, losses.mse], 1e-5);
    hidden.forEach((value, i) => {
      if (isActive('relu', value)) {
        seen.add(i % 4);
      }
    });
    sums.loss += losses.loss;
    sums.mse += losses.mse;
    sums.kl += losses.terms.kl;
    sums.active += losses.active * batch.length;
    sums.rows += batch.length;
    if (inEpoch === 2 || n === 19) {
      const count = inEpoch + 1;
      const { epoch, loss, mse, kl, active, dead, lr, sparsity_lambda } = epochs[told++];
      expect([epoch, dead]).toEqual([Math.floor(n / 3) + 1, 4 - seen.size]);
      const expected = [sums.loss, sums.mse, sums.kl].map((sum) => sum / count);
      expect([loss, mse, kl], `epoch ${epoch}`).toBeCloseTensor(expected, 1e-5);
      expect(active).toBeCloseTo(sums.active / sums.rows, 9);
      expect([lr, sparsity_lambda]).toEqual([step.lr, step.sparsity_lambda]);
    }
  }
  expect(told).toBe(8);
  for (const [name, { data }] of parameters) {
    expect(data, name).toBeCloseTensor(reference.parameters[name].data, 1e-4);
  }
  close(trainer);
});

describe.each<['topk' | 'batchtopk' | 'matryoshka', number[], object, boolean]>([
  ['topk', [30], {}, false],
  ['topk', [12, 20], {}, false],
  ['topk', [160], {}, true],
  ['batchtopk', [30], {}, false],
  ['batchtopk', [160], {}, true],
  ['matryoshka', [30], { matryoshka: [8, 30] }, true],
])('%s with layers of %j and a decay of k', (sparsity, h_dims, own, lists) => {
  const kept = [9, 7, 5, 3, 3, 3];
  const basis = { batch_size: 8, steps: 6, lr: 0.01, shuffle: false, ...plain };
  const decaying = { ...basis, sparsity, k: 3, k_decay: 3, ...own };

  test('keeps as many at each step as the reference with that k, and k when it is measured', async () => {
    const model = await Model.create(gpu, { in_dims: 9, h_dims, activation: 'relu' }, 5);
    const trainer = await Trainer.create<SparsityName>(
      model,
      dataset,
      decaying as TrainOptions<SparsityName>,
    );
    expect(trainer.step.build.sparse).toBe(lists);
    const config = { in_dims: 9, h_dims, activation: 'relu' as const, reconstruction: 'sum', ...decaying };
    const reference = new ReferenceTrainer(config as never, toReference(await model.parameters()));
    const order = Uint32Array.from({ length: 17 }, (_, i) => i);
    const epochs: EpochMetrics[] = [];
    let n = 0;
    for await (const { steps, epoch } of trainer.steps({ count: 6 })) {
      epochs.push(...(epoch ? [epoch as unknown as EpochMetrics] : []));
      for (const { loss, active } of steps) {
        Object.assign(config, { k: kept[n] });
        const batch = order.slice((n % 3) * 8, (n % 3) * 8 + 8);
        const expected = reference.step(gatherRows(dataset.data, 9, batch, dataset.normalization)).losses;
        expect([loss, active], `step ${n + 1}`).toBeCloseTensor([expected.loss, expected.active], 1e-5);
        expect(active).toBeGreaterThan(n === 0 ? 4 : 0);
        n++;
      }
    }
    expect(n).toBe(6);
    expect(epochs.map(({ k }) => k)).toEqual([5, 3]);
    expect(model.config.selection).toEqual(sparsity === 'topk' ? { topk: 3 } : { threshold: 'shared' });
    close(trainer as unknown as Trainer);
  });
});

test.each([0, 2, 5, 6, 16, 20])(
  'a snapshot after %d steps goes on as if there had been no stop',
  async (count) => {
    const uninterrupted = await begun();
    const whole = await all(uninterrupted, 22);
    close(uninterrupted);
    const trainer = await begun();
    await all(trainer, count);
    const snapshot = await trainer.snapshot();
    close(trainer);
    const resumed = await Trainer.resume(gpu, dataset, structuredClone(snapshot));
    const rest = await all(resumed, 22 - count);
    expect(rest.steps).toEqual(whole.steps.slice(count));
    expect(figures(rest.epochs)).toEqual(figures(whole.epochs).slice(-rest.epochs.length));
    expect(sameParameters(rest.parameters, whole.parameters)).toBe(true);
    close(resumed);
  },
);

test('a change of a setting scales its schedule', async () => {
  const trainer = await begun();
  const before = await all(trainer, 2);
  trainer.change({ lr: 0.02, sparsity_lambda: 0.6 });
  const after = await all(trainer, 18);
  for (const [n, { lr, sparsity_lambda }] of [...before.steps, ...after.steps].entries()) {
    const { lr: rate, sparsity_lambda: weight } = settingsOf(n);
    expect([lr, sparsity_lambda]).toBeCloseTensor(n < 2 ? [rate, weight] : [2 * rate, 3 * weight], 1e-12);
  }
  expect(trainer.config).toMatchObject({ lr: 0.02, sparsity_lambda: 0.6 });
  close(trainer);
});

describe('the length of a run in steps', () => {
  const constant = { batch_size: 5, lr: 0.01, seed: 7 } satisfies TrainOptions;
  const rows = byteRows(23, 9, 1);

  test('is the same training as one in epochs, and says nothing of rates that are constant', async () => {
    const inEpochs = await trained(gpu, small, rows, { ...constant, epochs: 2 });
    const inSteps = await trained(gpu, small, rows, { ...constant, steps: 10 });
    expect(sameParameters(inSteps.parameters, inEpochs.parameters)).toBe(true);
    expect(figures(inSteps.epochs)).toEqual(figures(inEpochs.epochs));
    expect(Object.keys(inSteps.epochs[0])).not.toContain('lr');
    expect(Object.keys(inSteps.epochs[0])).not.toContain('sparsity_lambda');
  });

  test.each([
    ['all rows on the device', undefined],
    ['a part of them', 10],
  ])('that is less than an epoch gives one, of the rows seen: %s', async (_, window_rows) => {
    const model = await Model.create(gpu, small, 7);
    // In their order, the first three batches are those of the first 15 rows.
    const ordered = { ...constant, shuffle: false };
    const trainer = await Trainer.create(model, rows, { ...ordered, steps: 3 }, { window_rows });
    const epochs: EpochMetrics[] = [];
    const done: number[] = [];
    for await (const epoch of trainer.epochs({ progress: (now) => done.push(now.rows) })) {
      epochs.push(epoch);
    }
    expect([trainer.done, done.at(-1)]).toEqual([3, 15]);
    const fewer = { ...rows, rows: 15, data: rows.data.subarray(0, 15 * 9) };
    const own = await trained(gpu, small, fewer, { ...ordered, epochs: 1 });
    expect(sameParameters(await model.parameters(), own.parameters)).toBe(true);
    // The variance that is explained is that of all rows.
    const seen = (of: readonly EpochMetrics[]) =>
      figures(of).map(({ explained_variance, ...others }) => others);
    expect(seen(epochs)).toEqual(seen(own.epochs));
    trainer.close();
    model.close();
  });
});

test.each<[TrainOptions, string]>([
  [{ lr_warmup: 21 }, 'lr_warmup is 21 steps, and the run has 20. Make it shorter, or train for longer.'],
  [
    { sparsity_warmup: 21 },
    'sparsity_warmup is 21 steps, and the run has 20. Make it shorter, or train for longer.',
  ],
  [
    { sparsity: 'topk', k_decay: 21 } as unknown as TrainOptions,
    'k_decay is 21 steps, and the run has 20. Make it shorter, or train for longer.',
  ],
  [
    { lr_decay: 'linear', lr_warmup: 15, lr_decay_steps: 6 },
    'lr_warmup is 15 steps and lr_decay takes 6, and the run has 20. Make them shorter, or train for longer.',
  ],
  [
    { lr_decay: 'cosine', lr_warmup: 20 },
    'lr_warmup is 20 steps and lr_decay takes at least 1, and the run has 20. Make them shorter, or train for longer.',
  ],
])('%o does not fit into 20 steps', async (schedule, sentence) => {
  const fault = new ConfigError(sentence);
  expect(() => parseTrainConfig({ ...schedule, steps: 20 })).toThrow(fault);
  // The length of epochs shows with the rows.
  const inEpochs = { ...schedule, batch_size: 8, epochs: 10 };
  const model = await Model.create(gpu, small);
  const two = { ...dataset, rows: 16, data: dataset.data.subarray(0, 16 * 9) };
  const before = gpu.allocatedBytes;
  await expect(Trainer.create(model, two, inEpochs)).rejects.toThrow(fault);
  expect(gpu.allocatedBytes).toBe(before);
  model.close();
});

test.each<TrainOptions>([
  { lr_warmup: 20, sparsity_warmup: 20 },
  { lr_decay: 'linear', lr_warmup: 14, lr_decay_steps: 6 },
  { lr_decay: 'cosine', lr_warmup: 19 },
  { sparsity: 'topk', k_decay: 20 } as unknown as TrainOptions,
])('%o just fits into 20 steps', (schedule) => {
  expect(parseTrainConfig({ ...schedule, steps: 20 })).toMatchObject(schedule);
});
