import { join } from 'node:path';
import { Command } from 'commander';
import {
  ConfigError,
  checkRoom,
  closePipes,
  type Gpu,
  imageShape,
  type LoadOptions,
  lockFolder,
  Model,
  type ModelOptions,
  openGpu,
  type Placement,
  placementOf,
  type Rows,
  type SparsityName,
  sizesInWords,
  type TrainConfig,
  Trainer,
  watched,
  whyNoImages,
  windowsInWords,
} from '../node/index.js';
import { normalizeArguments, valuesOf } from './arguments.js';
import { adapterCheck, checkAdapter } from './checked.js';
import { loadWithBar, readingBar } from './data.js';
import { interruptible } from './interrupt.js';
import { MetricsLogs, type MetricsLogValues } from './metrics-logs.js';
import * as options from './options.js';
import { type Plan, planOf, planOfResumed } from './plan.js';
import { count, Reporter, type ReporterOptions } from './reporter.js';
import {
  animationFile,
  keepResults,
  prepareResults,
  type ResultValues,
  removeUnfinishedResults,
} from './results.js';
import { checkFingerprint, checkSame, optionsOfResumed, type Resumed, readResumed } from './resume.js';
import { nothingYet } from './run-state.js';
import { parseSaveEvery } from './save-every.js';
import { modelBytes } from './saved.js';
import { type onDivergence, Setbacks } from './setbacks.js';
import { Snapshots } from './snapshots.js';
import { type Run, runEpochs, type Trained } from './training-run.js';

interface TrainValues
  extends ReporterOptions,
    ResultValues,
    MetricsLogValues,
    Omit<LoadOptions, 'in_dims' | 'normalize'> {
  readonly watch: boolean;
  readonly resume?: string | true;
  readonly save_every?: string;
  readonly on_divergence: (typeof onDivergence)[number];
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
  Go on with a training that was stopped or killed:
    $ sae --resume
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
    const { values, given, standards } = valuesOf<TrainValues>(command);
    await train(values, given, standards);
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

/** @param standards the defaults of all options. */
async function train(
  asked: TrainValues,
  givenNow: ReadonlySet<string>,
  standards: Readonly<Record<string, unknown>>,
): Promise<void> {
  options.checkPictures(asked);
  options.checkTraining(asked);
  MetricsLogs.check(asked);
  const reporter = new Reporter(asked);
  let from = asked.resume === undefined ? undefined : await readResumed(asked, reporter);
  const resumed = from && { file: from.file, steps: from.saved.snapshot.done };
  const { values, given } = from
    ? optionsOfResumed(from, asked, givenNow, standards)
    : { values: asked, given: givenNow };
  const every = parseSaveEvery(values.save_every);
  const plan = from ? planOfResumed(from) : await planOf(values, given, reporter);
  const { saved } = plan;
  let plannedConfig = plan.config;
  const opening = await options.openOptions(values);
  await prepareResults(values);
  await MetricsLogs.prepare(values);
  const { files_dir, init, watch } = values;
  const release = values.train ? await lockFolder(files_dir) : () => {};

  const signal = interruptible(reporter, 'steps');
  const logs = new MetricsLogs(values, reporter);
  let gpu: Gpu | undefined;
  try {
    if (from) checkSame(from);
    if (values.train) await removeUnfinishedResults(values);
    gpu = await openGpu(opening);
    const loaded = await loadWithBar(reporter, {
      ...values,
      signal,
      normalize: plan.normalize,
      raw_rows: plannedConfig.steps && plannedConfig.steps * plannedConfig.batch_size,
      in_dims: plan.in_dims,
      trained_shape: saved?.image_shape,
    });
    if (loaded.fellBack) {
      const longer = !resumed && values.train && !given.has('epochs') && !given.has('steps');
      if (longer) plannedConfig = { ...plannedConfig, epochs: options.fallbackEpochs };
      reporter.warn(
        `${loaded.fellBack}${longer ? `, for ${options.fallbackEpochs} epochs because they are fewer` : ''}.`,
      );
    }
    const dataset = withShape(loaded.train, saved);
    const seen = loaded.first ? withShape(loaded.first, saved) : dataset;
    if (from) await checkFingerprint(from, dataset);
    if (values.save_plots && !imageShape(dataset)) {
      reporter.warn(whyNoImages(dataset));
    }
    const run = {
      reporter,
      signal,
      files_dir,
      init,
      options: Object.fromEntries(Object.entries(values).filter(([name]) => given.has(name))),
      logs,
      animate: animateOf(values, dataset),
      watch,
      measured_on: values.save_plots ? seen : undefined,
      snapshots: values.train ? Snapshots.of(every, files_dir, dataset, reporter, resumed) : undefined,
    };
    const begun = from && { file: from.file, givenUp: from.state.record?.given_up ?? [] };
    const setbacks = new Setbacks(run.snapshots, begun, values.on_divergence, reporter, signal);
    let state: Run['from'] = from?.state;
    /** The training's configuration, whose lr may be smaller after a setback. */
    let config = plannedConfig;
    for (;;) {
      let failure: unknown;
      try {
        gpu ??= await openGpu(opening);
        const placement = placementOf(dataset, gpu, values.window);
        const goesOn = from && (await resumedTrainer(gpu, dataset, from, reporter));
        // It has as much as the model and its moments.
        from = undefined;
        const model =
          goesOn?.model ??
          (saved?.parameters
            ? await Model.from(gpu, saved.config, saved.parameters)
            : await newModelOf(
                gpu,
                { ...plan.model, in_dims: dataset.in_dims },
                config,
                seen,
                reporter,
                signal,
              ));
        if (!setbacks.any) {
          describe(reporter, model, dataset, placement, config, values.train);
          if (resumed) reporter.line(`goes on     after ${count(resumed.steps)} steps, from ${resumed.file}`);
          if (values.save_model) await checkRoom(files_dir, modelBytes(model, dataset), 'the model');
        }
        const inUse = { gpu, opening, reporter };
        const check = () => adapterCheck({ ...inUse, sparsity: config.sparsity });
        let trained: Trained | undefined;
        if (!values.train) await checkAdapter(inUse);
        else {
          const trainer = goesOn ?? (await Trainer.create(model, dataset, plannedConfig, placement));
          if (setbacks.lrFactor < 1) trainer.change({ lr: trainer.config.lr * setbacks.lrFactor });
          config = trainer.config;
          trained = await runEpochs(trainer, { ...run, check, setbacks, from: state });
        }
        failure = trained?.failure;
        if (failure === undefined || !setbacks.survives(failure, config.lr)) {
          await keepResults({ model, loaded, dataset: seen, config, trained, saved }, dataset, values, run);
          break;
        }
      } catch (error) {
        if (error === failure || !setbacks.survives(error, config.lr)) throw error;
      }
      gpu?.close();
      gpu = undefined;
      from = await setbacks.last();
      state = from?.state ?? nothingYet;
    }
    signal.throwIfAborted();
  } finally {
    closePipes();
    logs.close();
    reporter.stopBar();
    gpu?.close();
    release();
  }
}

/** Goes on with a training, with the tiles that its products had before, if the adapter is the same. */
async function resumedTrainer(
  gpu: Gpu,
  dataset: Rows,
  { saved, state }: Resumed,
  reporter: Reporter,
): Promise<Trainer<SparsityName>> {
  const { adapter, tiles } = state;
  if (adapter.name === gpu.name && adapter.driver === gpu.adapter.info.description) {
    gpu.tuner.repeat(tiles);
  } else {
    reporter.warn(
      `The run was begun on another adapter (${adapter.name}, ${adapter.driver}), so its figures will differ in their last digits.`,
    );
  }
  return Trainer.resume<SparsityName>(gpu, dataset, saved.snapshot);
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

/** Rows without a shape get that of the saved model's training rows. */
function withShape(dataset: Rows, saved: Plan['saved']): Rows {
  const image_shape = dataset.image_shape ?? saved?.image_shape;
  return image_shape ? { ...dataset, image_shape } : dataset;
}
