import type { Gpu } from '../../gpu/gpu.js';
import type { ModelOptions, TrainOptions } from '../config.js';
import { Model } from '../model/model.js';
import { randomPair } from '../model/random.js';
import type { Dataset } from '../rows/dataset.js';
import type { SparsityName } from '../sparsity/index.js';
import { Trainer } from '../training/trainer.js';
import { answers } from './answers.js';
import { type Check, type Finding, type Outcome, values } from './check.js';

/** A short training, whose outcome is known: see `answers.ts`. */
export interface KnownTraining {
  readonly name: string;
  readonly model: ModelOptions & { readonly in_dims: number; readonly h_dims: number[] };
  readonly options: TrainOptions<SparsityName>;
}

const seed = 5;
/** Vectors by which a parameter is told: one wrong value changes each product, and several seldom leave all as they are. */
const vectors = 4;
/** The bound of a loss's and a product's error, relative to the loss and to the norm: ten times what was seen on Mesa's adapter. */
const bound = 5e-6;

/**
 * Updates that are not nearly the same whatever a gradient's size, as Adam's are with the usual eps: those of gradients that are rounding
 * errors would be anything.
 */
const common = { lr: 0.02, batch_size: 15, epochs: 2, seed, adam_eps: 0.01 } as const;
/** Latents die soon, so that those that are revived are. */
const dying = { dead_after: 20 } as const;

function known(
  name: SparsityName,
  options: object = {},
  model: Omit<ModelOptions, 'in_dims' | 'h_dims'> & { h_dims?: number[] } = {},
  what = '',
): KnownTraining {
  return {
    name: `${name}${what}`,
    model: { in_dims: 21, h_dims: [75], pre_bias: false, ...model },
    options: { ...common, sparsity: name, ...options } as TrainOptions<SparsityName>,
  };
}

/** One of each kind, between them with most of what a step may have. */
export const knownTrainings: readonly KnownTraining[] = [
  known('kl', {}, { h_dims: [13] }),
  known('kl', {}, { h_dims: [26, 13] }, ', two layers'),
  known('kl', { reconstruction: 'fvu' }, { activation: 'sigmoid', h_dims: [13] }, ', sigmoid'),
  known('none', { decoder_norm: 'unit', clip_norm: 0.5 }, { pre_bias: true }),
  known('l1', { l1_weighted: false }, { tied: true }, ', tied'),
  known('l1', {}, { pre_bias: true }),
  known('jumprelu', { pre_act_lambda: 0.1, ...dying }, { pre_bias: true }),
  known('topk', { k: 3, ...dying }, { pre_bias: true }),
  known('topk', { k: 40, revive: 'none' }, {}, ', as a matrix'),
  known('topk', { k: 3, revive: 'none', rescale_acts_by_decoder_norm: true }, {}, ', rescaled'),
  known('batchtopk', { k: 3, auxk_loss: 'openai', rescale_acts_by_decoder_norm: true, ...dying }),
  known('matryoshka', { k: 3, decoder_norm: 'unit', clip_norm: 0.5, ...dying }, { pre_bias: true }),
];

/** How they are normalised. */
export const knownNormalization = { mean: 0.4, std: 0.3 } as const;

/** The rows, 37: the last batch of an epoch is short. */
export function knownRows(in_dims: number): Dataset {
  const data = Uint8Array.from(values(21, 37 * in_dims, 0, 255.99));
  return { name: 'known rows', rows: 37, in_dims, data, normalization: knownNormalization };
}

/** Products of a parameter's values with vectors of 1 and -1, after their norm. */
export function told(data: ArrayLike<number>): number[] {
  const random = randomPair(data.length).forWeights;
  let squares = 0;
  const products = new Array<number>(vectors).fill(0);
  for (let i = 0; i < data.length; i++) {
    const bits = random.next() >>> 8;
    squares += data[i] ** 2;
    for (let v = 0; v < vectors; v++) products[v] += (bits >> v) & 1 ? data[i] : -data[i];
  }
  return [Math.sqrt(squares), ...products];
}

/** Does a training on a device. */
export async function outcomeOf(gpu: Gpu, { model: sizes, options }: KnownTraining): Promise<Outcome> {
  const model = await Model.create<SparsityName>(gpu, sizes, seed);
  try {
    const trainer = await Trainer.create<SparsityName>(model, knownRows(sizes.in_dims), options);
    try {
      const losses: number[] = [];
      for await (const { steps } of trainer.steps({ count: trainer.runSteps })) {
        losses.push(...steps.map(({ loss }) => loss));
      }
      const parameters = [...(await model.parameters())].map(([name, { data }]) => [name, told(data)]);
      const reconstructions = told(await model.reconstruct(knownRows(sizes.in_dims)));
      return { losses, figures: { ...Object.fromEntries(parameters), reconstructions } };
    } finally {
      trainer.close();
    }
  } finally {
    model.close();
  }
}

/** The largest errors of an outcome. */
export function comparedOutcomes(actual: Outcome, expected: Outcome): Finding[] {
  const most = (errors: readonly number[]) =>
    errors.reduce((worst, error) => (error <= worst ? worst : error), 0);
  const losses = expected.losses.map(
    (loss, i) => Math.abs((actual.losses[i] ?? Number.NaN) - loss) / Math.abs(loss),
  );
  const findings = [{ what: 'losses, relative', error: most(losses), bound }];
  for (const [name, figures] of Object.entries(expected.figures)) {
    const own = actual.figures[name] ?? [];
    const errors = figures.map((figure, i) => Math.abs((own[i] ?? Number.NaN) - figure) / (figures[0] || 1));
    findings.push({ what: `${name}, relative`, error: most(errors), bound });
  }
  return findings;
}

/** The checks of trainings. */
export const trainingChecks: readonly Check[] = knownTrainings.map((training) => {
  const { in_dims, h_dims } = training.model;
  return {
    name: `training ${training.name}`,
    size: `${[in_dims, ...h_dims].join('-')}, batches of ${common.batch_size}`,
    run: async ({ gpu }) => comparedOutcomes(await outcomeOf(gpu, training), answers[training.name]),
  };
});
