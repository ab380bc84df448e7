import { z } from 'zod';
import { shown } from '../gpu/shown.js';
import { ConfigError } from './errors.js';
import { type OptimizerName, optimizerNames, optimizerOf, type optimizers } from './optimizer/index.js';
import {
  choice,
  expected,
  flag,
  type Option,
  type OptionShape,
  type OptionValues,
  option,
  optionsOf,
  positiveF32,
  whole,
} from './options.js';
import { alternatives } from './rows/formats/array.js';
import {
  type learningRate,
  type ModelShape,
  type Selection,
  type SparsityName,
  type sparsities,
  sparsityNames,
  sparsityOf,
} from './sparsity/index.js';
import { checkSchedules, lrDecays } from './training/schedule.js';

// Every option of the engine is declared once, here or with the kind of sparsity or the update rule that it belongs to.
// The command line, the page's form, the README's table and the types below are made from that. Names and defaults are
// those of the original program: a small, much-copied PyTorch program that trains an autoencoder with a KL sparsity
// penalty on MNIST.

const list = expected('h_dims must be a list of whole numbers of at least 1, such as [256, 128, 64]');

/** The activations of every layer but the last. */
export const activations = ['relu', 'sigmoid'] as const;

/** What the output's bias of a new model is, where it is subtracted from the input. */
export const preBiasInits = ['zero', 'mean', 'median'] as const;
export type PreBiasInit = (typeof preBiasInits)[number];

const modelShape = {
  in_dims: option(whole('in_dims', 1).default(784), {
    description: 'values per row; taken from your own data if you pass some',
    label: 'Input size',
  }),
  h_dims: option(z.array(whole('each of h_dims', 1), list).min(1, list).default([20]), {
    description: 'widths of the encoder layers, in quotes; the decoder mirrors them',
    label: 'Hidden sizes',
  }),
  activation: option(choice('activation', activations).default('relu'), {
    description: 'relu or sigmoid, for every layer but the last',
    label: 'Activation',
  }),
  pre_bias: option(flag('pre_bias').default(false), {
    description: "subtract the output's bias from the input before it is encoded",
    label: 'Input less the output bias',
  }),
  tied: option(flag('tied').default(false), {
    description: "the decoder's weights are the encoder's, transposed; with one encoder layer",
    label: 'Tied weights',
  }),
} as const;

const rescaled = { rescale_acts_by_decoder_norm: z.literal(true).optional() };

/** What a model also has, but no option of its own sets: the kind of sparsity that it is trained with does. */
const selection = z
  .union(
    [
      z.strictObject({ topk: whole('selection topk', 1), ...rescaled }),
      z.strictObject({ threshold: z.enum(['shared', 'each']), ...rescaled }),
    ],
    expected(
      'selection must be { topk: a whole number } or { threshold: "shared" or "each" }, and with either may be rescale_acts_by_decoder_norm: true',
    ),
  )
  .optional();

/**
 * The sizes and the activation of an autoencoder: in_dims -> h_dims[0] -> ... -> h_dims[n-1], and mirrored back. What
 * not every model has is absent where it is not: the bias that is subtracted from the input; tied weights; which latents
 * of a row stay in its code, if not all do.
 */
export type ModelConfig = Omit<OptionValues<typeof modelShape>, 'pre_bias' | 'tied'> & {
  readonly pre_bias?: boolean | undefined;
  readonly tied?: boolean | undefined;
  readonly selection?: Selection | undefined;
};
/** What `Model.create` takes; options that are left out have their defaults. */
export type ModelOptions = z.input<z.ZodObject<typeof modelShape>> & {
  readonly selection?: Selection | undefined;
};
export type Activation = ModelConfig['activation'];

const common = {
  batch_size: option(whole('batch_size', 1).default(64), {
    description: 'rows per training step',
    label: 'Batch size',
  }),
  epochs: option(whole('epochs', 1).default(20), {
    description: 'passes over the data',
    label: 'Epochs to train',
  }),
  steps: option(whole('steps', 1).optional(), {
    description: 'training steps, in the place of epochs; the last epoch may be cut short',
    label: 'Steps to train',
  }),
  sparsity: option(choice('sparsity', sparsityNames).default(sparsityNames[0]), {
    description: `kind of sparsity: ${sparsityNames.map((name) => `${name} (${sparsityOf(name).summary})`).join(', ')}`,
    label: 'Sparsity',
  }),
  lr_warmup: option(whole('lr_warmup', 0).default(0), {
    description: 'steps over which the learning rate rises linearly to lr',
    label: 'Warm-up of the learning rate',
  }),
  lr_decay: option(choice('lr_decay', lrDecays).default('none'), {
    description: `how the learning rate falls to 0 at the end of the run: ${lrDecays.join(', ')}`,
    label: 'Decay of the learning rate',
  }),
  lr_decay_steps: option(whole('lr_decay_steps', 1).optional(), {
    description: 'last steps of the run over which it falls; all after the warm-up if left out',
    label: 'Steps of the decay',
  }),
  seed: option(whole('seed', 0, 0xffffffff).default(42), {
    description: 'seed of the weights, the order of rows and the rows that are drawn',
    label: 'Seed',
  }),
  shuffle: option(flag('shuffle').default(true), {
    description: 'a new order of rows each epoch',
    label: 'Shuffle',
  }),
  optimizer: option(choice('optimizer', optimizerNames).default(optimizerNames[0]), {
    description: `update rule: ${optimizerNames.map((name) => `${name} (${optimizerOf(name).summary})`).join(', ')}`,
    label: 'Update rule',
  }),
  resample_every: option(whole('resample_every', 1).optional(), {
    description: 'steps between two resamplings with revive resample (default: 1000)',
    label: 'Steps between resamplings',
  }),
  decoder_norm: option(choice('decoder_norm', ['none', 'unit']).default('none'), {
    description:
      "unit: after each step, each latent's weights in the first decoder layer are scaled to norm 1",
    label: 'Decoder norms',
  }),
  dead_after: option(whole('dead_after', 1).optional(), {
    description:
      'rows after which a latent that was active in none of them counts as dead (default: all rows or a tenth of the run, whichever is less, from 10,000 to 10 million)',
    label: 'Dead after rows',
  }),
  pre_bias_init: option(choice('pre_bias_init', preBiasInits).optional(), {
    description:
      "with pre_bias, a new model's output bias: zero, the mean of the rows or their geometric median (default: mean)",
    label: 'Output bias at the start',
  }),
  clip_norm: option(positiveF32('clip_norm').optional(), {
    description: 'largest global norm of the gradients; larger ones are scaled down to it',
    label: 'Largest gradient norm',
  }),
} as const;

type Common = typeof common & { readonly lr: ReturnType<typeof learningRate> };
type LiveOf<S extends SparsityName> = (typeof sparsities)[S]['live'];
type FixedOf<S extends SparsityName> = (typeof sparsities)[S]['fixed'];
type Values<Shape> = { [Name in keyof Shape]: z.output<Shape[Name]> };
type Inputs<Shape> = { [Name in keyof Shape]?: z.input<Shape[Name]> | undefined };
/** The options of each update rule, discriminated by `optimizer`. */
type RuleConfig = {
  [O in OptimizerName]: { optimizer: O } & Values<(typeof optimizers)[O]['options']>;
}[OptimizerName];
type RuleOptions = {
  [O in OptimizerName]: { optimizer?: O | undefined } & Inputs<(typeof optimizers)[O]['options']>;
}[OptimizerName];

/**
 * How a model is trained, with the options of the kind of sparsity `S`. If it has `steps`, they are the length of the
 * run, and `epochs` does not count.
 */
export type TrainConfig<S extends SparsityName = 'kl'> = Omit<
  OptionValues<Common>,
  'sparsity' | 'optimizer'
> & {
  sparsity: S;
} & RuleConfig &
  (S extends SparsityName ? Values<LiveOf<S>> & Values<FixedOf<S>> : never);
/** What `Trainer.create` takes; options that are left out have their defaults. */
export type TrainOptions<S extends SparsityName = 'kl'> = Omit<
  z.input<z.ZodObject<Common>>,
  'sparsity' | 'optimizer'
> & {
  sparsity?: S | undefined;
} & RuleOptions &
  (S extends SparsityName ? Inputs<LiveOf<S>> & Inputs<FixedOf<S>> : never);
/** The options that can be changed while a model is trained. */
export type LiveSettings<S extends SparsityName = 'kl'> = Pick<OptionValues<Common>, 'lr'> &
  (S extends SparsityName ? Values<LiveOf<S>> : never);

/**
 * Fills in the defaults.
 * @param sparsity the kind with which a new model will be trained, on which the default of `pre_bias` depends.
 * @throws ConfigError with a sentence for every fault.
 */
export function parseModelConfig(config: ModelOptions, sparsity: SparsityName = 'kl'): ModelConfig {
  checkObject(config, 'The options of a model are', '{ h_dims: [20] }');
  const parsed = parse(z.strictObject({ ...modelShape, selection }), {
    ...config,
    pre_bias: config.pre_bias ?? sparsityOf(sparsity).pre_bias,
  });
  const { h_dims, activation } = parsed;
  const k = parsed.selection && 'topk' in parsed.selection ? parsed.selection.topk : undefined;
  const width = h_dims[h_dims.length - 1];
  if (k !== undefined && k > width) {
    throw new ConfigError(`k must be at most ${width}, the number of latents, and is ${k}.`);
  }
  if (k !== undefined && activation !== 'relu') {
    throw new ConfigError(
      `Only the latents of a ReLU can be selected: with ${activation}, none is ever 0. Use activation relu.`,
    );
  }
  const { pre_bias, tied, ...others } = parsed;
  if (tied && h_dims.length > 1) {
    throw new ConfigError(
      `Weights can be tied where there is one encoder layer, and h_dims is ${shown(h_dims)}. Leave tied out, or use one layer.`,
    );
  }
  return { ...others, ...(pre_bias && { pre_bias }), ...(tied && { tied }) };
}

/**
 * Fills in the defaults.
 * @param model the one to be trained, if it is known, on which defaults of some kinds of sparsity depend.
 * @throws ConfigError with a sentence for every fault, also for options of another kind of sparsity.
 */
export function parseTrainConfig<S extends SparsityName = 'kl'>(
  config: TrainOptions<S>,
  model?: ModelShape,
): TrainConfig<S> {
  checkObject(config, 'The options of training are', '{ epochs: 20 }');
  const given = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
  const { sparsity, optimizer } = parse(z.object(choices), given);
  const shape = trainShape(sparsity, optimizer);
  for (const name of Object.keys(given)) {
    if (!(name in shape)) {
      refuseForeign(name, { sparsity, optimizer });
    }
  }
  const parsed = parse(z.strictObject(shape), {
    ...sparsityOf(sparsity).defaults?.(given, model),
    ...given,
  }) as TrainConfig<SparsityName>;
  checkSchedules(parsed, parsed.steps);
  checkRevival(parsed, undefined);
  sparsityOf(sparsity).check?.(parsed, undefined);
  return parsed as TrainConfig<S>;
}

/** @throws ConfigError if dead latents cannot be revived so. */
function checkRevival(
  { revive, resample_every, sparsity }: TrainConfig<SparsityName>,
  model: ModelShape | undefined,
): void {
  if (revive === 'auxk' && !('auxk_k' in sparsityOf(sparsity).fixed)) {
    const kinds = sparsityNames.filter((name) => 'auxk_k' in sparsityOf(name).fixed);
    throw new ConfigError(
      `revive auxk is for sparsity ${kinds.join(', ')}: it gives a gradient to latents above 0 that are not selected, and with ` +
        `${sparsity} there are none. Use resample.`,
    );
  }
  if (resample_every !== undefined && revive !== 'resample') {
    throw new ConfigError(
      `resample_every is ${resample_every}, and revive is ${revive}. Set revive to resample, or leave it out.`,
    );
  }
  if (revive !== 'none' && model && model.h_dims.length > 1) {
    throw new ConfigError(
      `revive ${revive} needs a model with one hidden layer, whose latents add directions to the output, each by itself. Give ` +
        'h_dims one number.',
    );
  }
}

/** A model's configuration once it is trained so. @throws ConfigError if it cannot be. */
export function trainedConfig(
  { selection: _, ...sizes }: ModelConfig,
  config: TrainConfig<SparsityName>,
): ModelConfig {
  const { selection, check } = sparsityOf(config.sparsity);
  checkRevival(config, sizes);
  check?.(config, sizes);
  const selects = selection?.(config);
  return parseModelConfig(selects ? { ...sizes, selection: selects } : sizes);
}

/** @throws ConfigError if no new model can begin so. */
export function checkStart({ pre_bias }: ModelConfig, { pre_bias_init }: TrainConfig<SparsityName>): void {
  if (pre_bias_init !== undefined && !pre_bias) {
    throw new ConfigError(
      `pre_bias_init is ${pre_bias_init}, and the model has no pre_bias. Set pre_bias, or leave it out.`,
    );
  }
}

/**
 * @param what the beginning of the sentence.
 * @throws ConfigError if it is not an object, whose fields can be looked at.
 */
export function checkObject(given: unknown, what: string, example: string): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ConfigError(`${what} ${shown(given)}; expected an object, such as ${example}.`);
  }
}

/** The choices that have options of their own. */
const choices = { sparsity: common.sparsity, optimizer: common.optimizer } as const;
type Choice = keyof typeof choices;

/** The options that belong to each value of a choice. */
const owned: Readonly<Record<Choice, Readonly<Record<string, OptionShape>>>> = {
  sparsity: Object.fromEntries(
    sparsityNames.map((name) => [name, { ...sparsityOf(name).live, ...sparsityOf(name).fixed }]),
  ),
  optimizer: Object.fromEntries(optimizerNames.map((name) => [name, optimizerOf(name).options])),
};

function trainShape(sparsity: SparsityName, optimizer: OptimizerName): OptionShape {
  return inOrder(owned.sparsity[sparsity], owned.optimizer[optimizer]);
}

/**
 * All options of training in the order of files and forms.
 * @param ofSparsity of the kind.
 * @param ofRule of the update rule.
 */
function inOrder(ofSparsity: OptionShape, ofRule: OptionShape): OptionShape {
  const { batch_size, epochs, steps, sparsity, lr_warmup, lr_decay, lr_decay_steps, ...others } = common;
  const { lr, revive, ...own } = ofSparsity;
  const ofLr = { lr, lr_warmup, lr_decay, lr_decay_steps };
  const { seed, shuffle, optimizer, decoder_norm, ...last } = others;
  const first = { batch_size, epochs, steps, sparsity, ...ofLr, ...own, seed, shuffle, optimizer };
  return { ...first, decoder_norm, revive, ...last, ...ofRule };
}

/** @throws ConfigError if an option belongs to other values of a choice than the chosen one. */
function refuseForeign(name: string, chosen: Readonly<Record<Choice, string>>): void {
  for (const choice of Object.keys(choices) as Choice[]) {
    const owners = Object.keys(owned[choice]).filter((value) => name in owned[choice][value]);
    if (owners.length > 0) {
      throw new ConfigError(
        `${name} is an option of ${choice} ${owners.join(', ')}, and ${choice} is ${chosen[choice]}. Leave it out.`,
      );
    }
  }
}

/** The options that may change while a model is trained, of all kinds of sparsity together. */
export const liveSettings: readonly string[] = [
  ...new Set(sparsityNames.flatMap((name) => Object.keys(sparsityOf(name).live))),
];

/** An option. `owners`: the kinds of sparsity or update rules that it belongs to, with their defaults. */
export interface EngineOption extends Option {
  readonly owners?: readonly { readonly choice: Choice; readonly value: string; readonly option: Option }[];
}

/** Every option of the model, for hosts to show and read. */
export const modelOptions: readonly EngineOption[] = optionsOf(modelShape).map((option) => {
  const own = (value: SparsityName) => ({ ...option, standard: sparsityOf(value).pre_bias ?? false });
  const owners = sparsityNames.map((value) => ({ choice: 'sparsity' as const, value, option: own(value) }));
  return option.name === 'pre_bias' ? { ...option, owners } : option;
});

/** Every option of training, each once, for hosts to show and read. */
export const trainOptions: readonly EngineOption[] = optionsOf(
  inOrder(together(owned.sparsity), together(owned.optimizer)),
).map((option) => {
  const owners = (Object.keys(choices) as Choice[]).flatMap((choice) =>
    Object.entries(owned[choice]).flatMap(([value, shape]) =>
      optionsOf(shape)
        .filter(({ name }) => name === option.name)
        .map((own) => ({ choice, value, option: own })),
    ),
  );
  return owners.length > 0 ? { ...option, owners } : option;
});

/** The options of all values of a choice, in their order; of an option that several have, the first one's schema. */
function together(shapes: Readonly<Record<string, OptionShape>>): OptionShape {
  const all = Object.values(shapes);
  return Object.assign({}, ...all, ...all.toReversed());
}

function parse<T extends z.ZodType>(schema: T, config: unknown): z.output<T> {
  const result = schema.safeParse(config);
  if (!result.success) {
    const sentences = result.error.issues.map((issue) =>
      issue.code === 'unrecognized_keys'
        ? `There is no option ${alternatives(issue.keys.slice(0, 8).map((key) => shown(key)))}. Leave it out, or look at its spelling.`
        : issue.message,
    );
    throw new ConfigError([...new Set(sentences)].join(' '));
  }
  return result.data;
}
