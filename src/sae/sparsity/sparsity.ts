import {
  choice,
  number,
  type OptionFacts,
  type OptionShape,
  type OptionValues,
  option,
  whole,
} from '../options.js';

/** A term of the loss besides the reconstruction error: the loss contains weight * (term + offset). */
export interface Term<Name extends string = string, Weight extends string = string, Options = never> {
  /** Its name in metrics, files and columns, for its value without weight and offset. */
  readonly name: Name;
  /** The live option that is its weight. */
  readonly weight: Weight;
  /** A part that does not depend on the parameters; by default 0. */
  offset?(options: Options, latents: number): number;
}

/** Which of a row's latents stay in its code, in training and after it; the others become 0. */
export interface Selection {
  /** The number of largest ones that stay. Of equal ones the first stay. */
  readonly topk: number;
}

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
  /** For a step's record, at most four: the weights of the terms, in their order, then what else the kernels read. */
  coefficients(options: OptionValues<Live & Fixed>): readonly number[];
  penalty(options: OptionValues<Live & Fixed>): Penalty;
  /** For kinds that select latents. */
  selection?(options: OptionValues<Live & Fixed>): Selection;
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
 * `sum`, as most PyTorch tools do. It says what a penalty's weight is worth: a mean is in_dims times smaller.
 */
export function reconstruction(standard: 'mean' | 'sum') {
  return option(choice('reconstruction', ['mean', 'sum']).default(standard), {
    description: "a row's squared errors in the loss: their mean or their sum",
    label: 'Reconstruction',
  });
}

/** For every kind with a `sparsity_lambda`. */
export const sparsityWarmup = option(whole('sparsity_warmup', 0).default(0), {
  description: 'steps over which the weight of the penalty rises linearly from 0 to sparsity_lambda',
  label: 'Warm-up of the sparsity weight',
});
