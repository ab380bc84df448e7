import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Activation,
  ConfigError,
  checkFile,
  type EngineError,
  isOurModel,
  type Model,
  ModelFileError,
  type NormalizeOption,
  normalizationName,
  parseNormalize,
  type Rows,
  readModelFile,
  recordSaved,
  type SavedModel,
  type SparsityName,
  savedModel,
  type TrainConfig,
  writeModelFile,
} from '../node/index.js';
import { statOf } from '../node/stat.js';
import type { Reporter } from './reporter.js';
import type { Trained } from './training-run.js';

/**
 * Reads a saved model, whatever program saved it, and reports what its user should know: metadata that is not understood,
 * and the notes of one of another program.
 * @param activation the option's value, used if the file does not name the activation.
 * @throws ModelFileError; ConfigError if the file and the option differ.
 */
export async function readSaved(
  file: string,
  reporter: Reporter,
  activation?: Activation,
): Promise<SavedModel> {
  const saved = await readModelFile(file, activation && { activation });
  if (activation !== undefined && saved.config.activation !== activation) {
    throw differs(file, 'activation', saved.config.activation);
  }
  const { passed_over = [], notes = [] } = saved;
  for (const note of notes) {
    reporter.warn(note);
  }
  if (passed_over.length > 0) {
    reporter.warn(
      `The model ${file} comes from another program or a later version: its metadata (${passed_over.join(', ')}) is not understood and was ignored.`,
    );
  }
  return saved;
}

/** How a model is saved. */
interface Saving {
  readonly files_dir: string;
  readonly training: SavedModel['training'];
  /** The outcome of the training; undefined if there was none. */
  readonly trained: Trained | undefined;
  readonly reporter: Reporter;
}

/**
 * Saves a model as `sae.safetensors`. One that was trained for less than an epoch does not replace an earlier one, and
 * if the folder cannot be written, the model is saved in the temporary folder.
 * @returns why the run's record does not say so, if it does not.
 * @throws ModelFileError if it could not be saved in its folder.
 */
export async function saveModel(
  model: Model,
  dataset: Rows,
  saving: Saving,
): Promise<EngineError | undefined> {
  const { files_dir, training, trained, reporter } = saving;
  if (trained?.steps === 0) {
    reporter.line('No step was trained, so nothing is saved.');
    return undefined;
  }
  const wanted = join(files_dir, 'sae.safetensors');
  const partial = trained?.history.length === 0 && (await isThere(wanted));
  const file = partial ? join(files_dir, 'sae.partial.safetensors') : wanted;
  const saved = await savedModel(model, dataset, training);
  try {
    await checkFile(file, isOurModel);
    await writeModelFile(file, saved);
  } catch (error) {
    const other = await elsewhere(saved);
    throw other === undefined
      ? error
      : new ModelFileError(`${(error as Error).message} It was saved as ${other} instead.`, { cause: error });
  }
  const why = partial ? ` (trained for less than an epoch, so the earlier ${wanted} was kept)` : '';
  reporter.line(`model     ${file}${why}`);
  reporter.json({ model: file });
  if (trained?.record && !partial) {
    return recordSaved(join(files_dir, 'run.json'), trained.record, file).then(
      () => undefined,
      (error: EngineError) => error,
    );
  }
  return undefined;
}

/** Whether there is a file, or something that cannot be looked at. */
function isThere(file: string): Promise<boolean> {
  return statOf(file).then(
    (status) => status !== undefined,
    () => true,
  );
}

/**
 * Saves a model without `--save-model`, because its pictures or figures failed. If this fails too, nothing is reported.
 */
export async function rescueModel(model: Model, dataset: Rows, saving: Saving): Promise<void> {
  const file = join(saving.files_dir, 'sae.rescued.safetensors');
  try {
    await checkFile(file, isOurModel);
    await writeModelFile(file, await savedModel(model, dataset, saving.training));
    saving.reporter.warn(`Not all results could be produced, so the model was saved as ${file}.`);
  } catch {
    // The failure that led here is reported.
  }
}

/** Saves it in a new folder in the temporary one, and returns the path. Undefined if that fails as well. */
async function elsewhere(saved: SavedModel): Promise<string | undefined> {
  try {
    const file = join(await mkdtemp(join(tmpdir(), 'sae-')), 'sae.safetensors');
    await writeModelFile(file, saved);
    return file;
  } catch {
    return undefined;
  }
}

/**
 * The normalisation of a saved model's inputs: its own or, if another program saved the file, the option's or the
 * data's default. @throws ConfigError if the option differs from the model's.
 */
export function modelNormalization(
  file: string,
  { normalization }: SavedModel,
  option: string | undefined,
): NormalizeOption | undefined {
  const wanted = option === undefined ? undefined : parseNormalize(option);
  if (!normalization || !wanted) {
    return normalization ?? wanted;
  }
  const name = normalizationName(normalization);
  // Of a kind that is fitted, the model has the values.
  if ((typeof wanted === 'string' ? wanted : normalizationName(wanted)) !== name) {
    throw differs(file, 'normalize', name);
  }
  return normalization;
}

/**
 * What training a saved model further would change although no option that was given says so, in a sentence: the kind of
 * its sparsity, how many latents of a row stay, or by what they are selected. Undefined if there is nothing.
 */
export function unaskedChange(
  { config, training }: SavedModel,
  now: TrainConfig<SparsityName>,
  given: ReadonlySet<string>,
): string | undefined {
  const { selection } = config;
  const before = training?.sparsity ?? kindOfModel(config);
  const k = selection && 'topk' in selection ? selection.topk : kOf(training);
  const nowK = kOf(now);
  const flag = selection?.rescale_acts_by_decoder_norm ? '--rescale_acts_by_decoder_norm' : undefined;
  if (given.has('sparsity')) {
    if (flag && nowK !== undefined && !given.has('rescale_acts_by_decoder_norm')) {
      return `The model selects latents by their values times the norms of their directions, and is now trained without that; use ${flag} to go on as before.`;
    }
    return k === undefined || nowK === undefined || nowK === k || given.has('k')
      ? undefined
      : `The model was trained to keep ${k} latents a row, and is now trained to keep ${nowK}; use --k ${k} to go on as before.`;
  }
  if (before === undefined) {
    return `How the model was trained is not known, and it is now trained with sparsity ${now.sparsity}; --sparsity names another kind.`;
  }
  if (before === now.sparsity) {
    return undefined;
  }
  const was = k === undefined ? before : `${before}, k ${k},`;
  const options = [before, ...(k === undefined ? [] : ['--k', k]), ...(flag ? [flag] : [])].join(' ');
  return `The model was trained with sparsity ${was} and is now trained with ${now.sparsity}; use --sparsity ${options} to go on as before.`;
}

/** The kind of sparsity that a model must have been trained with; undefined if all its latents stay. */
export function kindOfModel({
  selection,
}: Pick<SavedModel['config'], 'selection'>): SparsityName | undefined {
  if (selection === undefined) {
    return undefined;
  }
  return 'topk' in selection ? 'topk' : selection.threshold === 'each' ? 'jumprelu' : 'batchtopk';
}

function kOf(training: object | undefined): number | undefined {
  return (training as { readonly k?: number } | undefined)?.k;
}

/** Bytes of a saved model, with an estimate for the header. */
export function modelBytes({ tensors, layers }: Model, { normalization }: Rows): number {
  const values = tensors.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const arrays = Object.values(normalization).filter((value) => value instanceof Float32Array);
  const own = arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return 4 * values + own + 1024 * (1 + layers.length);
}

/** The error for an option that differs from the saved model. */
export function differs(file: string, name: string, has: unknown): ConfigError {
  const value = typeof has === 'string' ? has : JSON.stringify(has);
  return new ConfigError(
    `The model ${file} has ${name} ${value}, and the option ${name} says otherwise. Leave the option out.`,
  );
}
