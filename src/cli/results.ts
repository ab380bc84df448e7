import { join } from 'node:path';
import { beginsWithRecord } from '../node/first-record.js';
import {
  checkFile,
  DataError,
  drawLoss,
  drawModel,
  type EpochMetrics,
  evaluate,
  evenRows,
  historyName,
  imageShape,
  isOurAnimation,
  isOurHistory,
  isOurLatentsFile,
  isOurModel,
  isOurRunFile,
  isOurSnapshot,
  type LoadedDatasets,
  type LoadOptions,
  type Model,
  makeFolder,
  NonFiniteError,
  pictureNames,
  placementOf,
  preparePictures,
  prepareReport,
  type RecordedTraining,
  type Rows,
  readRecord,
  removeUnfinished,
  type SavedModel,
  type SparsityName,
  type TrainConfig,
  writeHistory,
} from '../node/index.js';
import { reportLatents } from './latents.js';
import type { PictureValues } from './options.js';
import { describedSubject, makeReport } from './report.js';
import { metricsLine } from './reporter.js';
import { rescueModel, saveModel } from './saved.js';
import { snapshotName } from './snapshots.js';
import type { Run, Trained } from './training-run.js';

/** Options of what a training, or a look at a saved model, leaves. */
export interface ResultValues extends PictureValues, Pick<LoadOptions, 'dataset' | 'labels' | 'window'> {
  readonly train: boolean;
  readonly animate?: number;
  readonly save_model: boolean;
  readonly save_plots: boolean;
  readonly save_every?: string;
  readonly files_dir: string;
}

export const animationFile = 'features.webp';
const reportFile = 'report.html';
/** Rows of the report of a training, at most: all of more rows may take as long as training did. */
const reportedRows = 65_536;

/** Checks before the training that all results can be written after it. @throws EngineError. */
export async function prepareResults({
  train,
  animate,
  save_every,
  save_model,
  save_plots,
  files_dir,
  images_dir,
  dataset,
  labels,
}: ResultValues): Promise<void> {
  const labelled = labels !== undefined || dataset === 'words-10k';
  if (train || save_model || save_plots || labelled) {
    await makeFolder(files_dir);
  }
  if (labelled) {
    await checkFile(join(files_dir, 'latents.csv'), isOurLatentsFile);
  }
  if (train) {
    await checkFile(join(files_dir, 'metrics.jsonl'), (content) =>
      beginsWithRecord(content, 'epoch', 'loss'),
    );
    await checkFile(join(files_dir, 'run.json'), isOurRunFile);
  }
  if (train && save_every !== 'never') {
    await checkFile(join(files_dir, snapshotName), isOurSnapshot);
  }
  if (save_model) {
    await checkFile(join(files_dir, 'sae.safetensors'), isOurModel);
  }
  if (animate !== undefined) {
    await makeFolder(images_dir);
    await checkFile(join(images_dir, animationFile), isOurAnimation, Number.POSITIVE_INFINITY);
  }
  if (save_plots) {
    await makeFolder(images_dir);
    await preparePictures(images_dir);
    await prepareReport(join(files_dir, reportFile));
    if (train && save_model) await checkFile(join(files_dir, historyName), isOurHistory);
  }
}

/** Files of a run in its folder, and those of pictures. */
const runFiles = [
  'sae.safetensors',
  'sae.partial.safetensors',
  'sae.rescued.safetensors',
  'metrics.jsonl',
  'run.json',
  'run.lock',
  'latents.csv',
  reportFile,
  historyName,
  snapshotName,
];
const pictureFiles = [...pictureNames, animationFile];
/** Milliseconds after which an unfinished picture is of a process that was killed. */
const pictureAge = 60_000;

/** Removes what runs have left that were killed while they wrote. The folder of files must be this process's. */
export async function removeUnfinishedResults({ files_dir, images_dir }: ResultValues): Promise<void> {
  await removeUnfinished(files_dir, runFiles);
  // Other runs may draw into it.
  await removeUnfinished(images_dir, pictureFiles, pictureAge);
}

/** What was trained, or only looked at. */
export interface Outcome {
  readonly model: Model;
  readonly loaded: LoadedDatasets<Rows>;
  /** The training rows or, of those that come once, the first ones. */
  readonly dataset: Rows;
  readonly config: TrainConfig<SparsityName>;
  readonly trained: Trained | undefined;
  readonly saved: Pick<SavedModel, 'training'> | undefined;
}

/**
 * Saves the model, if that is asked for, writes all else that a run leaves, and reports what went wrong. A model that is not
 * to be saved is saved all the same if something did.
 * @param rows the training rows.
 * @throws the training's failure, or the first one after it.
 */
export async function keepResults(
  outcome: Outcome,
  rows: Rows,
  values: ResultValues,
  run: Omit<Run, 'from' | 'check' | 'setbacks'>,
): Promise<void> {
  const { model, config, trained, saved } = outcome;
  const { reporter, logs } = run;
  const saving = { ...run, training: trained ? config : saved?.training, trained };
  const unproven = values.save_model ? await saveModel(model, rows, saving) : undefined;
  const unread = trained?.failure instanceof DataError;
  const beside: unknown = unread
    ? undefined
    : await writeResults(outcome, values, run).catch((error: unknown) => error);
  logs.close();
  const unrecorded = trained?.unrecorded ?? logs.failure ?? run.snapshots?.failure ?? unproven;
  const failed = trained?.failure ?? beside ?? unrecorded;
  if (trained && !values.save_model) {
    if (beside || unrecorded || unread) {
      await rescueModel(model, rows, saving);
    } else {
      reporter.line('The model was not saved; --save-model saves it.');
    }
  }
  if (failed) {
    throw failed;
  }
}

/**
 * Measures held-out rows, writes what excites the latents where rows have labels, draws the pictures and writes the report, unless no epoch
 * was finished.
 * @returns the first error for figures that are not finite; the rest is done nevertheless.
 */
async function writeResults(
  outcome: Outcome,
  values: ResultValues,
  run: Omit<Run, 'from' | 'check' | 'setbacks'>,
): Promise<NonFiniteError | undefined> {
  const { model, loaded, dataset, config, trained } = outcome;
  const { reporter, logs } = run;
  if (trained?.history.length === 0) {
    reporter.line('No epoch was finished, so there are no pictures.');
    return undefined;
  }
  let failed: NonFiniteError | undefined;
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof NonFiniteError)) {
        throw error;
      }
      failed ??= error;
    }
  };
  const { validation } = loaded;
  if (validation && !trained?.failure) {
    await attempt(async () => {
      const placement = placementOf(validation, model.gpu, values.window);
      const figures = await evaluate(model, validation, config, placement);
      reporter.line(metricsLine('held out ', figures, config.sparsity));
      reporter.json({ validation: figures });
      logs.write((log) => log.heldOut(figures, trained?.steps ?? 0));
    });
  }
  const { labels } = dataset;
  if (labels) {
    const file = join(values.files_dir, 'latents.csv');
    await attempt(() => reportLatents(model, dataset, labels, file, reporter));
  }
  const animation = trained?.animation;
  const files = animation ? [await animation.write()] : [];
  if (values.save_plots) {
    const history = trained?.history ?? [];
    await attempt(async () => {
      files.push(...(await drawPictures(model, validation ?? dataset, dataset, history, config, values)));
    });
  }
  if (files.length > 0 || (values.save_plots && !failed)) reporter.pictures(files);
  if (values.save_plots) {
    await attempt(() => reportTraining(outcome, values, run));
  }
  return failed;
}

async function drawPictures(
  model: Model,
  samples: Rows,
  dataset: Rows,
  history: readonly EpochMetrics<SparsityName>[],
  config: TrainConfig<SparsityName>,
  { images_dir, num_samples, features }: ResultValues,
): Promise<string[]> {
  const image_shape = imageShape(dataset);
  const shaped = image_shape ? { ...samples, image_shape } : samples;
  const drawing = { images_dir, num_samples, features, seed: config.seed, measured_on: dataset };
  const { files } = await drawModel(model, shaped, drawing);
  if (history.length > 0) {
    files.push(await drawLoss(history, config, images_dir));
  }
  return files;
}

/** Writes the report, and beside the model the densities that it tells of. */
async function reportTraining(
  { model, loaded: { validation }, dataset, config, trained, saved }: Outcome,
  { files_dir, save_model }: ResultValues,
  { reporter, init }: Pick<Run, 'reporter' | 'init'>,
): Promise<void> {
  const densities = trained?.densities;
  const date = trained?.record?.date;
  // For reports that are made of the saved model later.
  if (densities && date && save_model) await writeHistory(join(files_dir, historyName), densities, date);
  let recorded: RecordedTraining | undefined;
  if (!trained && init !== undefined) recorded = await readRecord(init);
  else if (trained?.record) recorded = { record: trained.record, epochs: trained.history };
  const rows = evenRows(validation ?? dataset, reportedRows);
  const training = trained ? config : saved?.training;
  const subject = describedSubject(model, `the model of ${rows.name}`, rows, training, recorded, densities);
  // No signal: a training that was interrupted has its report as well, and another request ends the process.
  await makeReport([subject], join(files_dir, reportFile), reporter);
}
