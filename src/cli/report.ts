import { basename } from 'node:path';
import { Command } from 'commander';
import {
  type Activation,
  ConfigError,
  closePipes,
  commandLine,
  encodeImage,
  factsOf,
  type Gpu,
  type LoadOptions,
  Model,
  openGpu,
  prepareNeuronpedia,
  prepareReport,
  type RecordedTraining,
  type Report,
  type ReportSubject,
  type Rows,
  readHistory,
  readRecord,
  report,
  reportImageType,
  type SavedModel,
  trainingCharts,
  writeNeuronpedia,
  writeReport,
} from '../node/index.js';
import { mapThreads } from '../node/report/map-threads.js';
import { version } from '../node/version.js';
import { valuesOf } from './arguments.js';
import { checkAdapter } from './checked.js';
import { loadWithBar } from './data.js';
import { interruptible } from './interrupt.js';
import * as options from './options.js';
import { count, Reporter, type ReporterOptions } from './reporter.js';
import { kindOfModel, modelNormalization, readSaved } from './saved.js';

interface ReportValues extends ReporterOptions, LoadOptions {
  readonly data?: readonly string[];
  readonly activation?: Activation;
  readonly adapter?: string;
  readonly tune: string;
  readonly normalize?: string;
  readonly out: string;
  readonly neuronpedia?: string;
}

/** `sae report`. */
export function reportCommand(): Command {
  const command = new Command('report')
    .description(
      'write what a saved model has learned as one HTML file that works offline: its figures, and of each latent what excites it; of several models, how they compare',
    )
    .argument('<model...>', options.savedModel)
    .addOption(options.reportOption)
    .addOption(options.neuronpediaOption)
    .addOption(options.activationOption);
  for (const option of [
    ...options.dataGroup,
    options.labelsOption,
    ...options.partOptions,
    ...options.runGroup,
  ]) {
    command.addOption(option);
  }
  return command.action(async (files: string[]) => {
    await reportModels(files, valuesOf<ReportValues>(command).values);
  });
}

async function reportModels(files: readonly string[], values: ReportValues): Promise<void> {
  const reporter = new Reporter(values);
  const saved: SavedModel[] = [];
  for (const file of files) saved.push(await readSaved(file, reporter, values.activation));
  const { in_dims } = saved[0].config;
  const other = saved.findIndex(({ config }) => config.in_dims !== in_dims);
  if (other >= 0) {
    throw new ConfigError(
      `${files[0]} takes rows of ${in_dims} values, and ${files[other]} rows of ${saved[other].config.in_dims}. A report compares models of the same rows.`,
    );
  }
  // Models of other programs take rows as the data's own normalisation has them.
  const first = Math.max(
    0,
    saved.findIndex(({ normalization }) => !normalization),
  );
  const normalizations = files.map((file, i) => modelNormalization(file, saved[i], values.normalize));
  const { out, neuronpedia } = values;
  if (neuronpedia !== undefined && files.length > 1) {
    throw new ConfigError(`neuronpedia takes one model, and there are ${files.length}.`);
  }
  await prepareReport(out);
  if (neuronpedia !== undefined) await prepareNeuronpedia(neuronpedia);
  const signal = interruptible(reporter, 'rows');
  const opening = await options.openOptions(values);
  const gpu = await openGpu(opening);
  try {
    const trained_shape = saved.find(({ image_shape }) => image_shape)?.image_shape;
    const normalize = normalizations[first];
    const loaded = await loadWithBar(reporter, { ...values, signal, in_dims, normalize, trained_shape });
    signal.throwIfAborted();
    if (loaded.fellBack) reporter.warn(`${loaded.fellBack}.`);
    // Held-out rows say more about the model.
    const rows = loaded.validation ?? loaded.train;
    const subjects: ReportSubject[] = [];
    for (const [i, file] of files.entries()) {
      const { normalization } = saved[i];
      const own = normalization ? { ...rows, normalization } : rows;
      subjects.push(await subjectOf(gpu, file, saved[i], own, nameOf(files, i)));
    }
    await checkAdapter({ gpu, opening, reporter });
    const made = await makeReport(subjects, out, reporter, signal);
    if (neuronpedia !== undefined) {
      await writeNeuronpedia(neuronpedia, made);
      reporter.line(`latents   ${neuronpedia}`);
      reporter.json({ neuronpedia });
    }
  } finally {
    closePipes();
    gpu.close();
  }
}

async function subjectOf(
  gpu: Gpu,
  file: string,
  saved: SavedModel,
  rows: Rows,
  name: string,
): Promise<ReportSubject> {
  const model = await Model.from(gpu, saved.config, saved.parameters);
  const recorded = await readRecord(file);
  const history = recorded && (await readHistory(file, recorded.record));
  return describedSubject(model, name, rows, saved.training, recorded, history);
}

/** A model with what is known of its training. */
export function describedSubject(
  model: Model,
  name: string,
  rows: Rows,
  training: SavedModel['training'],
  recorded: RecordedTraining | undefined,
  history: ReportSubject['history'],
): ReportSubject {
  const { config, gpu, parameterCount } = model;
  const command = recorded?.record.command;
  return {
    name,
    model,
    rows,
    kind: training?.sparsity ?? kindOfModel(config) ?? 'unknown',
    facts: factsOf(gpu, config, parameterCount, training, recorded),
    command: command && commandLine(['sae', ...command]),
    charts:
      training?.sparsity &&
      recorded &&
      trainingCharts(recorded.epochs, { ...training, sparsity: training.sparsity }),
    history,
  };
}

/** Makes a report, with a progress bar, and says where it is. @throws as `report` and `writeReport`. */
export async function makeReport(
  subjects: readonly ReportSubject[],
  out: string,
  reporter: Reporter,
  signal?: AbortSignal,
  title = `What ${subjects.map(({ name }) => name).join(', ')} learned`,
): Promise<Report> {
  let current: string | undefined;
  const made = await report(subjects, {
    title,
    created: new Date().toISOString(),
    program: `webgpu-sae ${version}`,
    encodeImage,
    imageType: reportImageType,
    mapOf: mapThreads(),
    ...(signal && { signal }),
    progress: (what, done, of) => {
      if (what !== current) reporter.startBar(of, what);
      current = what;
      reporter.updateBar(done, what, count(done));
    },
  }).finally(() => reporter.stopBar());
  await writeReport(out, made);
  reporter.line(`report    ${out}`);
  reporter.json({ report: out });
  return made;
}

/** A model's name: of its file, with its folder where several are called the same. */
function nameOf(files: readonly string[], i: number): string {
  const same = files.filter((file) => basename(file) === basename(files[i])).length > 1;
  return same ? files[i] : basename(files[i]);
}
