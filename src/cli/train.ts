import { join } from 'node:path';
import { Command } from 'commander';
import {
  ConfigError,
  checkRoom,
  checkStart,
  closePipes,
  DataError,
  type Gpu,
  imageShape,
  isPipe,
  type LoadOptions,
  Model,
  type ModelConfig,
  type ModelOptions,
  type NormalizeOption,
  openGpu,
  type Placement,
  parseModelConfig,
  parseTrainConfig,
  placementOf,
  type Rows,
  type SavedModel,
  type SparsityName,
  sizesInWords,
  type TrainConfig,
  trainedConfig,
  watched,
  whyNoImages,
  windowsInWords,
} from '../node/index.js';
import { normalizeArguments, valuesOf } from './arguments.js';
import { loadWithBar, readingBar } from './data.js';
import { interruptible } from './interrupt.js';
import { MetricsLogs, type MetricsLogValues } from './metrics-logs.js';
import * as options from './options.js';
import { count, Reporter, type ReporterOptions } from './reporter.js';
import { animationFile, prepareResults, type ResultValues, writeResults } from './results.js';
import {
  differs,
  modelBytes,
  modelNormalization,
  readSaved,
  rescueModel,
  saveModel,
  unaskedChange,
} from './saved.js';
import { type Run, runEpochs } from './training-run.js';

interface TrainValues
  extends ReporterOptions,
    ResultValues,
    MetricsLogValues,
    Omit<LoadOptions, 'in_dims' | 'normalize'> {
  readonly watch: boolean;
  readonly init?: string;
  readonly adapter?: string;
  readonly tune: string;
  readonly normalize?: string;
}

export const trainExamples = `
Examples:
  Train on MNIST, and draw pictures into images/:
    $ sae
  Three encoder layers:
    $ sae --epochs 100 --h_dims "[256, 128, 64]"
  Your own rows; the model goes to files/sae.safetensors:
    $ sae --data rows.npy --h-dims 64 --save-model
  Train a saved model further, or only draw its pictures:
    $ sae --init files/sae.safetensors --epochs 5
    $ sae --init files/sae.safetensors --no-train

Names can be written in snake_case as well. A [bool] alone means True; it can be
followed by True, False, 1 or 0, or negated: --no-shuffle.`;

/** `sae train`. */
export function trainCommand(): Command {
  const command = new Command('train')
    .description('train a sparse autoencoder and draw what it learned (the default command)')
    .addHelpText('after', trainExamples)
    // Rejected below: as train is the default command, they may be meant as a command.
    .allowExcessArguments();
  const all = [
    ...options.modelGroup,
    ...options.trainingGroup,
    ...options.dataGroup,
    options.labelsOption,
    options.validationOption,
    ...options.partOptions,
    ...options.pictureGroup,
    options.seedOption,
    ...options.runGroup,
  ];
  for (const option of all) {
    command.addOption(option);
  }
  return command.action(async () => {
    if (command.args.length > 0) {
      throw new ConfigError(
        excess(command.args, normalizeArguments(process.argv.slice(2), options.booleanNames)),
      );
    }
    const { values, given } = valuesOf<TrainValues>(command);
    await train(values, given);
  });
}

/** The message for words that are not options, which often belong to the option before them. */
function excess(words: readonly string[], all: readonly string[]): string {
  const [word] = words;
  const at = all.indexOf(word);
  const option = all.slice(0, at).findLastIndex((other) => other.startsWith('--'));
  const [, kebab = '', value] = /^--([a-z-]+)(?:=(.*))?$/.exec(all[option]) ?? [];
  const name = options.snakeCase(kebab);
  if (options.booleanNames.has(kebab) && option === at - 1) {
    return `${name} must be True or False, or stand alone, and is followed by "${word}".`;
  }
  if (options.repeatedNames.has(name)) {
    return `${name} takes one path each time, and is followed by "${word}" as well. Repeat it, or put a pattern in quotes: --${name} "*.npy".`;
  }
  if (options.listNames.has(name)) {
    const next = all.findIndex((other, i) => i > at && other.startsWith('--'));
    const given = [value ?? '', ...all.slice(option + 1, next < 0 ? undefined : next)].join(' ');
    const numbers = (given.match(/[^\s,[\]]+/g) ?? []).join(',');
    const quoted = options.listNames.get(name) === 'list' ? `[${numbers.replaceAll(',', ', ')}]` : numbers;
    return `${name} was given in several words. Put it in quotes: --${name} "${quoted}"`;
  }
  return `"${word}" is not a command, and train takes options only; sae --help lists both. A command comes first.`;
}

async function train(values: TrainValues, given: ReadonlySet<string>): Promise<void> {
  if (given.has('epochs') && given.has('steps')) {
    throw new ConfigError('Both epochs and steps say how long to train. Give one of them.');
  }
  const engine = options.engineValues(values, given);
  if (values.dataset === 'words-10k' && values.init === undefined && !given.has('h_dims')) {
    engine.model.h_dims = options.wordLatents;
  }
  let config = parseTrainConfig<SparsityName>(engine.training);
  const requested = parseModelConfig(engine.model, config.sparsity);
  options.checkPictures(values);
  options.checkTraining(values);
  MetricsLogs.check(values);
  if (values.init === undefined) {
    checkStart(requested, config);
  }
  if (!values.train && values.init === undefined) {
    throw new ConfigError(
      'train False skips training, so it needs a saved model: name one with --init PATH.',
    );
  }
  const { init } = values;
  const reporter = new Reporter(values);
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
  config = parseTrainConfig<SparsityName>({ ...before, ...engine.training }, saved?.config ?? requested);
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
  const opening = await options.openOptions(values);
  await prepareResults(values);
  await MetricsLogs.prepare(values);

  const signal = interruptible(reporter, 'steps');
  const logs = new MetricsLogs(values, reporter);
  const gpu = await openGpu(opening);
  try {
    const loaded = await loadWithBar(reporter, {
      ...values,
      signal,
      normalize,
      raw_rows: config.steps && config.steps * config.batch_size,
      in_dims: saved?.config.in_dims ?? (given.has('in_dims') ? requested.in_dims : undefined),
      trained_shape: saved?.image_shape,
    });
    if (loaded.fellBack) {
      const longer = values.train && !given.has('epochs') && !given.has('steps');
      config = longer ? { ...config, epochs: options.fallbackEpochs } : config;
      reporter.warn(
        `${loaded.fellBack}${longer ? `, for ${options.fallbackEpochs} epochs because they are fewer` : ''}.`,
      );
    }
    const dataset = withShape(loaded.train, saved);
    if (values.save_plots && !imageShape(dataset)) {
      reporter.warn(whyNoImages(dataset));
    }
    const newModel = { ...engine.model, in_dims: dataset.in_dims };
    const model = saved
      ? await Model.from(gpu, saved.config, saved.parameters)
      : await newModelOf(gpu, newModel, config, loaded.first ?? dataset, reporter, signal);
    const placement = placementOf(dataset, gpu, values.window);
    describe(reporter, model, dataset, placement, config, values.train);
    if (values.save_model) {
      await checkRoom(values.files_dir, modelBytes(model, dataset), 'the model');
    }

    const animate = animateOf(values, dataset);
    const seen = loaded.first ? withShape(loaded.first, saved) : dataset;
    const { files_dir, watch } = values;
    const measured_on = values.save_plots ? seen : undefined;
    const run = { reporter, signal, files_dir, init, placement, logs, animate, watch, measured_on };
    const trained = values.train ? await runEpochs(model, dataset, config, run) : undefined;
    const saving = { ...run, training: trained ? config : saved?.training, trained };
    if (values.save_model) {
      await saveModel(model, dataset, saving);
    }
    const unread = trained?.failure instanceof DataError;
    const beside: unknown = unread
      ? undefined
      : await writeResults({ model, loaded, dataset: seen, config, trained, saved }, values, run).catch(
          (error: unknown) => error,
        );
    const unrecorded = trained?.unrecorded ?? logs.failure;
    const failed = trained?.failure ?? beside ?? unrecorded;
    if (trained && !values.save_model) {
      if (beside || unrecorded || unread) {
        await rescueModel(model, dataset, saving);
      } else {
        reporter.line('The model was not saved; --save-model saves it.');
      }
    }
    if (failed) {
      throw failed;
    }
    signal.throwIfAborted();
  } finally {
    closePipes();
    logs.close();
    reporter.stopBar();
    gpu.close();
  }
}

/** @throws ConfigError if rows are no images. */
function animateOf({ animate: every, images_dir }: TrainValues, dataset: Rows): Run['animate'] {
  if (every === undefined) return undefined;
  const image_shape = imageShape(dataset);
  if (!image_shape) {
    throw new ConfigError(
      `animate draws latents as images, and it is not known whether rows of ${dataset.in_dims} values are images. If they are, pass --image_shape H,W.`,
    );
  }
  return { every, file: join(images_dir, animationFile), image_shape };
}

/** A new model, for whose output bias rows may be read. */
async function newModelOf(
  gpu: Gpu,
  options: ModelOptions,
  config: TrainConfig<SparsityName>,
  rows: Rows,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<Model> {
  try {
    const watching = { signal, onRows: readingBar(reporter) };
    return await Model.create<SparsityName>(gpu, options, config, watched(rows, watching));
  } finally {
    reporter.stopBar();
  }
}

/** Prints the header: parameters, device, data and the length of the run. */
function describe(
  reporter: Reporter,
  { config, parameterCount, gpu }: Model,
  dataset: Rows,
  placement: Placement,
  { epochs, steps, batch_size }: TrainConfig<SparsityName>,
  training: boolean,
): void {
  reporter.line(`parameters  ${count(parameterCount)} (${sizesInWords(config)}, ${config.activation})`);
  reporter.line(`device      ${gpu.name}${gpu.software ? ' (software: no GPU)' : ''}`);
  const { name, rows, in_dims } = dataset;
  reporter.line(
    `data        ${name}: ${count(rows)} rows of ${in_dims} values${windowsInWords(dataset, placement, batch_size)}`,
  );
  if (training) {
    const length = steps === undefined ? `epochs      ${epochs}` : `steps       ${count(steps)}`;
    reporter.line(`${length}, in batches of ${batch_size}`);
  }
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

/** Rows without a shape get that of the saved model's training rows. */
function withShape(dataset: Rows, saved: SavedModel | undefined): Rows {
  const image_shape = dataset.image_shape ?? saved?.image_shape;
  return image_shape ? { ...dataset, image_shape } : dataset;
}
