import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beginsWithRecord } from '../../node/first-record.js';
import type { Sweep, TrialResult } from '../../node/fleet/records.js';
import {
  checkFile,
  EngineError,
  type EpochMetrics,
  Model,
  makeFolder,
  type OpenOptions,
  openGpu,
  paretoFront,
  prepareReport,
  type Rows,
  readModelFile,
  type SparsityName,
  trainingCharts,
  trialInWords,
} from '../../node/index.js';
import { isOurPicture } from '../../node/pictures/save.js';
import type { Store } from '../../node/store/store.js';
import { writeWhole } from '../../node/write-file.js';
import { describedSubject, makeReport } from '../report.js';
import { count, type Reporter, short } from '../reporter.js';
import { outcomesOf, type TrialOutcome } from './outcomes.js';

/** Where the results of a sweep go. */
export interface SweepResultValues {
  readonly files_dir: string;
  readonly images_dir: string;
}

const tableFile = 'sweep.jsonl';
const reportFile = 'sweep.html';
const pictureFile = 'pareto.png';
/** Models of a report: those that no other one surpasses, and the next best of each kind and width. */
const mostReported = 8;

/** Checks before the training that the results can be written after it. @throws EngineError. */
export async function prepareSweepResults({ files_dir, images_dir }: SweepResultValues): Promise<void> {
  await makeFolder(files_dir);
  await makeFolder(images_dir);
  await checkFile(join(files_dir, tableFile), (content) => beginsWithRecord(content, 'trial', 'state'));
  await checkFile(join(images_dir, pictureFile), isOurPicture);
  await prepareReport(join(files_dir, reportFile));
}

/** As the table has it, where `model` is the model's configuration. */
function resultIn(result: TrialResult | undefined): object {
  if (!result) return {};
  const { model, history, ...figures } = result;
  return { ...figures, files: { model, history } };
}

type Finished = TrialOutcome & { readonly state: { readonly result: TrialResult } };

/** Prints the table of a sweep's trials, and writes it, the picture of what they explain by how many latents, and a report that compares. */
export async function writeSweepResults(
  store: Store,
  sweep: Sweep,
  rows: Rows,
  { files_dir, images_dir }: SweepResultValues,
  opening: OpenOptions,
  reporter: Reporter,
): Promise<void> {
  const outcomes = await outcomesOf(store, sweep);
  const lines = outcomes.map(({ id, trial: { model, training }, state, options }) =>
    JSON.stringify({
      trial: id,
      state: state?.state ?? 'open',
      options,
      model,
      training,
      ...resultIn(state?.result),
      ...(state?.failure && { failure: state.failure }),
    }),
  );
  const file = join(files_dir, tableFile);
  await writeWhole(file, [new TextEncoder().encode(`${lines.join('\n')}\n`)], (why, cause) => {
    return new EngineError(`${file} cannot be written: ${why}.`, { cause });
  });
  const finished = outcomes.filter((outcome): outcome is Finished => outcome.state?.result !== undefined);
  printTable(finished, reporter);
  reporter.line(`table     ${file}`);
  reporter.json({ table: file });
  if (finished.length === 0) return;
  const picture = join(images_dir, pictureFile);
  const { writePareto } = await import('../../node/pictures/pareto.js');
  await writePareto(
    picture,
    finished.map(({ options, trial: { model, training }, state: { result } }) => ({
      ...result.metrics,
      kind: training.sparsity,
      width: model.h_dims[model.h_dims.length - 1],
      name: trialInWords(options),
    })),
  );
  reporter.pictures([picture]);
  await report(store, finished, rows, join(files_dir, reportFile), opening, reporter);
}

/** The trials in the order of what they explain, with those marked that no other one surpasses. */
function printTable(finished: readonly Finished[], reporter: Reporter): void {
  const front = new Set(
    paretoFront(finished.map(({ id, state }) => ({ id, ...state.result.metrics }))).map(({ id }) => id),
  );
  const sorted = [...finished].sort((a, b) => a.state.result.metrics.active - b.state.result.metrics.active);
  const rows = sorted.map(({ id, options, state: { state, result } }) => {
    const { explained_variance, active, dead, loss } = result.metrics;
    return [
      front.has(id) ? '*' : '',
      short(active),
      explained_variance.toFixed(4),
      count(dead),
      short(loss),
      `${trialInWords(options)}${state === 'ended' ? ` (ended after ${count(result.steps)} steps)` : ''}`,
      id,
    ];
  });
  const table = [['', 'L0', 'R2', 'dead', 'loss', 'trial', ''], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  reporter.line();
  for (const row of table) {
    const cells = row.map((cell, i) =>
      i >= 1 && i <= 4 ? cell.padStart(widths[i]) : cell.padEnd(widths[i]),
    );
    reporter.line(cells.join('  ').trimEnd());
  }
  reporter.line('*: no other one explains as much with fewer latents');
  reporter.line();
}

/** What a report compares: the models on the front, and the best of each kind and width. */
function reported(finished: readonly Finished[]): Finished[] {
  const done = finished.filter(({ state }) => state.state === 'done');
  const figures = done.map((outcome) => ({ outcome, ...outcome.state.result.metrics }));
  const front = paretoFront(figures).map(({ outcome }) => outcome);
  const others = figures
    .filter(({ outcome }) => !front.includes(outcome))
    .sort((a, b) => b.explained_variance - a.explained_variance)
    .map(({ outcome }) => outcome);
  const kept = evenly(front, mostReported);
  return done.filter((outcome) => [...kept, ...others].slice(0, mostReported).includes(outcome));
}

function evenly<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from({ length: most }, (_, i) => all[Math.round((i * (all.length - 1)) / (most - 1))]);
}

async function report(
  store: Store,
  finished: readonly Finished[],
  rows: Rows,
  file: string,
  opening: OpenOptions,
  reporter: Reporter,
): Promise<void> {
  const compared = reported(finished);
  if (compared.length === 0) return;
  const folder = await mkdtemp(join(tmpdir(), 'sae-models-'));
  const gpu = await openGpu(opening);
  try {
    const subjects = [];
    for (const { id, options, trial, state } of compared) {
      const local = join(folder, `${id}.safetensors`);
      await store.getFile(state.result.model, local);
      const saved = await readModelFile(local);
      const model = await Model.from(gpu, saved.config, saved.parameters);
      const history = join(folder, `${id}.jsonl`);
      await store.getFile(state.result.history, history);
      const lines = (await readFile(history, 'utf8')).split('\n').filter((line) => line !== '');
      const epochs = lines.map((line) => JSON.parse(line) as EpochMetrics<SparsityName>);
      subjects.push({
        ...describedSubject(model, trialInWords(options) || id, rows, trial.training, undefined, undefined),
        charts: trainingCharts(epochs, trial.training),
      });
    }
    if (compared.length < finished.length) {
      reporter.line(
        `The report has ${compared.length} of ${count(finished.length)} models; sae report makes one of any others.`,
      );
    }
    const title = `What ${compared.length} models of ${rows.name} learned`;
    await makeReport(subjects, file, reporter, undefined, title);
  } finally {
    gpu.close();
    await rm(folder, { recursive: true, force: true });
  }
}
