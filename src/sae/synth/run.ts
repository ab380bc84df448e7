import {
  checkStart,
  type ModelOptions,
  parseModelConfig,
  parseTrainConfig,
  type TrainConfig,
  type TrainOptions,
} from '../config.js';
import type { SparsityName } from '../sparsity/index.js';
import type { SynthPreset } from './config.js';

/** The first rows of the stream, of which the output's bias at the start is the mean or the median. */
const startRows = 8192;

/** Rows of a stream are trained on for so many steps. */
export type StreamConfig = TrainConfig<SparsityName> & { readonly steps: number };

/** What a model is trained on, how, and what it is scored on. */
export interface SynthRun {
  readonly sizes: ModelOptions & { readonly in_dims: number };
  readonly config: StreamConfig;
  /** The training's rows, the first of the stream, each once and in the stream's order. */
  readonly rows: number;
  /** The first of these, for `Model.create`. */
  readonly start_rows: number;
  /** The rows that follow them, for `measureRecovery`. */
  readonly evaluation: { readonly first: number; readonly rows: number };
}

/**
 * A training on a preset's rows with some options of the model and of the training; others have the preset's or their own defaults.
 * @param seed of the features, the rows and the weights.
 * @throws ConfigError.
 */
export function synthRun(
  { data: { in_dims }, h_dims, training, steps, evaluation_rows }: SynthPreset,
  seed: number,
  given: { readonly model?: object; readonly training?: TrainOptions<SparsityName> },
): SynthRun {
  const { sparsity_lambda, ...others } = training;
  const { sparsity = training.sparsity } = given.training ?? {};
  const all = {
    ...others,
    // The preset's weight of the penalty is for its own kind of sparsity.
    ...(sparsity === training.sparsity && { sparsity_lambda }),
    steps,
    ...given.training,
    seed,
    // The rows of a stream are all new, in its own order.
    shuffle: false,
  } as TrainOptions<SparsityName>;
  const sizes = { h_dims: [...h_dims], ...given.model, in_dims };
  const model = parseModelConfig(sizes, parseTrainConfig(all).sparsity);
  const config = parseTrainConfig<SparsityName>(all, model) as StreamConfig;
  checkStart(model, config);
  const rows = config.steps * config.batch_size;
  const start_rows = Math.min(rows, startRows);
  return { sizes, config, rows, start_rows, evaluation: { first: rows, rows: evaluation_rows } };
}
