import { ConfigError } from '../errors.js';
import {
  choice,
  number,
  type OptionFacts,
  type OptionShape,
  type OptionValues,
  option,
  whole,
} from '../options.js';

/**
 * A term of the loss besides the reconstruction error: the loss contains weight * (term + offset). Without a weight, a
 * figure that metrics show beside the terms.
 */
export interface Term<Name extends string = string, Weight extends string = string, Options = never> {
  /** Its name in metrics, files and columns, for its value without weight and offset. */
  readonly name: Name;
  /** The live option that is its weight, or 1. */
  readonly weight?: Weight | 1;
  /** A part that does not depend on the parameters; by default 0. */
  offset?(options: Options, latents: number): number;
}

/**
 * Which of a row's latents stay in its code; the others become 0.
 *
 * - `topk`: that number of largest ones. Of equal ones the first stay.
 * - `threshold`: those above a threshold, one for all latents (`shared`) or one for `each`, which is a parameter of the
 *   model. A threshold below 0 acts as 0.
 */
export type Selection = ({ readonly topk: number } | { readonly threshold: 'shared' | 'each' }) & {
  /** Whether latents are multiplied by their decoder norms for that: see `src/sae/sparsity/rescale.ts`. */
  readonly rescale_acts_by_decoder_norm?: true | undefined;
};

/**
 * How a training step makes the code of the pre-activations, where that is not as the model itself makes it: by name, with
 * the kernels in `src/sae/step/`.
 */
export type Coding = 'topk' | 'batchtopk' | 'jumprelu';

/** The WGSL files that compute a penalty on the mean activations of a batch. */
export interface Penalty {
  /** Provides penalize(): for metrics/statistics.wgsl. */
  readonly statistics: string;
  /** Provides penalty_gradient() at the code: for layers/gradient.wgsl. */
  readonly gradient: string;
  /**
   * Provides penalized() for the weights of the first decoder layer, if the penalty depends on them: for
   * layers/parameters.wgsl.
   */
  readonly decoder?: string;
  /** Names of buffers that these files share, with one f32 per latent. */
  readonly perLatent: readonly string[];
  /** Provides terms_of() the sums of the terms: for metrics/log.wgsl. By default they are the sums themselves. */
  readonly terms?: string;
}

/**
 * A kind of sparsity: all that differs between kinds of sparse autoencoder. Kinds may share names of options:
 * `sparsity_lambda` is the weight of the penalty in each.
 */
export interface Sparsity<
  Live extends OptionShape = OptionShape,
  Fixed extends OptionShape = OptionShape,
  Name extends string = string,
> {
  /** What it is, in one line. */
  readonly summary: string;
  /** Options that may change while a model is trained. */
  readonly live: Live;
  /** Options that may not change then. */
  readonly fixed: Fixed;
  /** At most four. */
  readonly terms: readonly Term<Name, keyof Live & string, OptionValues<Live & Fixed>>[];
  /**
   * For a step's record, at most four: the weights of the terms, in their order, then what else the kernels read.
   * @param rows of the step's batch.
   */
  coefficients(options: OptionValues<Live & Fixed>, rows: number): readonly number[];
  penalty(options: OptionValues<Live & Fixed>): Penalty;
  /** For kinds that select latents: what the model does, from its training on. */
  selection?(options: OptionValues<Live & Fixed>): Selection;
  readonly coding?: Coding;
  /** Defaults that depend on what else was given, and on the model if it is known. */
  defaults?(
    given: Readonly<Record<string, unknown>>,
    model: ModelShape | undefined,
  ): Readonly<Record<string, unknown>>;
  /** The default of `pre_bias` for a new model that is trained so; by default false. */
  readonly pre_bias?: boolean;
  /** For kinds that select by thresholds that are parameters: the first value of each, at least 0. */
  threshold?(options: OptionValues<Live & Fixed>): number;
  /**
   * @param model undefined while it is not known, which has the rest checked.
   * @throws ConfigError if options contradict each other, or the model.
   */
  check?(options: OptionValues<Live & Fixed>, model: ModelShape | undefined): void;
}

/** The penalty of a kind that has none. */
export const noPenalty: Penalty = {
  statistics: 'sparsity/none.wgsl',
  gradient: 'sparsity/no_penalty_gradient.wgsl',
  perLatent: [],
};

/** Declares a kind; its functions get its options with their types. */
export function sparsity<
  const Live extends OptionShape,
  const Fixed extends OptionShape,
  const Name extends string,
>(kind: Sparsity<Live, Fixed, Name>): Sparsity<Live, Fixed, Name> {
  return kind;
}

/** The weight of a kind's penalty, with the kind's own default. */
export function sparsityLambda(standard: number, slider: NonNullable<OptionFacts['slider']>) {
  const schema = number('sparsity_lambda', 'of at least 0', (value) => value >= 0).default(standard);
  return option(schema, { description: 'weight of the sparsity penalty', label: 'Sparsity weight', slider });
}

/**
 * How the loss counts the squared errors of a row: `mean` over its values, as the original program does, or their
 * `sum`, as most PyTorch tools do; `fvu`, as sparsify does, divides the sum over a batch by that of the squared distances of its rows from
 * their mean: the fraction of variance unexplained. A batch without any variance does not count. It says what a penalty's
 * weight is worth: a mean is in_dims times smaller.
 */
export function reconstruction(standard: 'mean' | 'sum') {
  return option(choice('reconstruction', ['mean', 'sum', 'fvu']).default(standard), {
    description: "squared errors in the loss: a row's mean, its sum, or the batch's over its variance (fvu)",
    label: 'Reconstruction',
  });
}

/**
 * How the encoder of a new model starts: each layer `random`, as PyTorch's `nn.Linear` is; or as the transpose of the
 * decoder layer that mirrors it, with biases of 0, as in SAELens, dictionary_learning and OpenAI's and EleutherAI's
 * trainers (which copy one to the other in either direction).
 */
export function encoderInit(standard: 'random' | 'decoder_transpose') {
  return option(choice('encoder_init', ['random', 'decoder_transpose']).default(standard), {
    description: "how a new model's encoder starts: random, or as the decoder's transpose, with biases of 0",
    label: 'Encoder at the start',
  });
}

/** The learning rate, with the kind's own default. */
export function learningRate(standard: number) {
  return option(number('lr', 'above 0', (value) => value > 0).default(standard), {
    description: 'learning rate',
    label: 'Learning rate',
    slider: [1e-5, 0.1],
  });
}

/** How dead latents are revived, with the kind's own default for a model with one hidden layer. */
export function revival(standard: 'none' | 'auxk') {
  return option(choice('revive', ['none', 'auxk', 'resample']).default(standard), {
    description:
      'how dead latents are revived: none; auxk, by a loss of their own; resample, by new weights from badly reconstructed rows',
    label: 'Revival of dead latents',
  });
}

/** What a kind of sparsity may need of a model. */
export interface ModelShape {
  readonly h_dims: readonly number[];
  readonly tied?: boolean | undefined;
}

/** Whether a model's code can be a list in training. */
export function hasLists({ h_dims, tied }: ModelShape): boolean {
  return h_dims.length === 1 && !tied;
}

/** @throws ConfigError if a model's code cannot be a list in training. @param what needs that. */
export function checkLists(what: string, model: ModelShape | undefined): void {
  if (model?.tied) {
    throw new ConfigError(
      `${what} does not go with tied weights: it updates those of the encoder and of the decoder one after the other. Leave one out.`,
    );
  }
  if (model && model.h_dims.length > 1) {
    throw new ConfigError(
      `${what} needs a model with one hidden layer: through several, what some latents add to the reconstruction depends on the ` +
        'others. Give h_dims one number.',
    );
  }
}

const warmup = whole('sparsity_warmup', 0);
const warmupFacts: OptionFacts = {
  description:
    'steps over which the weight of the penalty rises linearly from 0 to sparsity_lambda; by default a twentieth of the run with l1, else 0',
  label: 'Warm-up of the sparsity weight',
};

/** For every kind with a `sparsity_lambda`. */
export const sparsityWarmup = option(warmup.default(0), warmupFacts);

/** The same where latents die of a weight that is whole at once: by default a twentieth of the run. */
export const neededWarmup = option(warmup.optional(), warmupFacts);
