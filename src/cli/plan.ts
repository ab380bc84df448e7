import {
  ConfigError,
  checkStart,
  isPipe,
  type ModelConfig,
  type ModelOptions,
  type NormalizeOption,
  parseModelConfig,
  parseTrainConfig,
  type SavedModel,
  type SparsityName,
  type TrainConfig,
  trainedConfig,
} from '../node/index.js';
import * as options from './options.js';
import type { Reporter } from './reporter.js';
import type { Resumed } from './resume.js';
import { differs, modelNormalization, readSaved, unaskedChange } from './saved.js';

/** What a run is to do, by its options and the model or snapshot from which it starts. */
export interface Plan {
  readonly config: TrainConfig<SparsityName>;
  /** Of a new model, as given. */
  readonly model: ModelOptions;
  /** The model from which it starts; without its parameters, if these are in a snapshot. */
  readonly saved: (Omit<SavedModel, 'parameters'> & Partial<Pick<SavedModel, 'parameters'>>) | undefined;
  readonly normalize: NormalizeOption | string | undefined;
  readonly in_dims: number | undefined;
}

/** The options that decide it. */
export interface PlanValues {
  readonly train: boolean;
  readonly init?: string;
  readonly dataset?: string;
  readonly data?: string | readonly string[] | undefined;
  readonly normalize?: string;
}

/** Of a run that begins. @throws ConfigError for options that contradict each other; ModelFileError. */
export async function planOf(
  values: PlanValues,
  given: ReadonlySet<string>,
  reporter: Reporter,
): Promise<Plan> {
  if (given.has('epochs') && given.has('steps')) {
    throw new ConfigError('Both epochs and steps say how long to train. Give one of them.');
  }
  const engine = options.engineValues(values, given);
  const { init } = values;
  if (values.dataset === 'words-10k' && init === undefined && !given.has('h_dims')) {
    engine.model.h_dims = options.wordLatents;
  }
  const training = parseTrainConfig<SparsityName>(engine.training);
  const requested = parseModelConfig(engine.model, training.sparsity);
  if (init === undefined) {
    checkStart(requested, training);
    if (!values.train) {
      throw new ConfigError(
        'train False skips training, so it needs a saved model: name one with --init PATH.',
      );
    }
  }
  const saved =
    init === undefined
      ? undefined
      : await readSaved(init, reporter, given.has('activation') ? requested.activation : undefined);
  let normalize: NormalizeOption | string | undefined = values.normalize;
  if (init !== undefined && saved) {
    refuseDifferences(init, saved, requested, given);
    normalize = modelNormalization(init, saved, values.normalize);
  }
  // What is not trained is measured with the options it was trained with.
  const before = values.train || given.has('sparsity') ? undefined : saved?.training;
  let config = parseTrainConfig<SparsityName>({ ...before, ...engine.training }, saved?.config ?? requested);
  const changed = saved && values.train ? unaskedChange(saved, config, given) : undefined;
  if (changed !== undefined) {
    reporter.warn(changed);
  }
  if (values.train) {
    // As training does when it begins, after the data were read.
    trainedConfig(saved?.config ?? requested, config);
  }
  if ([values.data ?? []].flat().some(isPipe) && !given.has('epochs')) {
    // Rows of a pipe come once.
    config = { ...config, epochs: 1 };
  }
  const in_dims = saved?.config.in_dims ?? (given.has('in_dims') ? requested.in_dims : undefined);
  return { config, model: engine.model, saved, normalize, in_dims };
}

/** Of a run that goes on from its snapshot. */
export function planOfResumed({ saved: { snapshot, ...rows } }: Resumed): Plan {
  const { model: config, training } = snapshot;
  const { normalization, image_shape } = rows;
  const saved = { config, normalization, training, ...(image_shape && { image_shape }) };
  return { config: training, model: {}, saved, normalize: normalization, in_dims: config.in_dims };
}

/** @throws ConfigError if an option was given that differs from the saved model's sizes, or is for new ones only. */
function refuseDifferences(
  file: string,
  { config }: SavedModel,
  requested: ModelConfig,
  given: ReadonlySet<string>,
): void {
  for (const name of ['encoder_init', 'pre_bias_init']) {
    if (given.has(name)) {
      throw new ConfigError(
        `${name} says how a new model starts, and ${file} is a saved one. Leave the option out.`,
      );
    }
  }
  for (const name of ['in_dims', 'h_dims', 'pre_bias', 'tied'] as const) {
    const has = config[name] ?? false;
    if (given.has(name) && JSON.stringify(requested[name] ?? false) !== JSON.stringify(has)) {
      throw differs(file, name, has);
    }
  }
}
