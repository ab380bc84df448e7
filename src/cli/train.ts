import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { describeFileError } from '../node/data/files.js';
import {
  ConfigError,
  type Dataset,
  drawLoss,
  drawModel,
  EngineError,
  type EpochMetrics,
  evaluate,
  type LoadOptions,
  Model,
  type ModelConfig,
  makeFolder,
  NonFiniteLossError,
  type NormalizeOption,
  openGpu,
  parseModelConfig,
  parseTrainConfig,
  readModelFile,
  type SavedModel,
  type TrainConfig,
  Trainer,
  writeModelFile,
  writeRunFile,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import { loadWithBar } from './data.js';
import { interruptible } from './interrupt.js';
import * as options from './options.js';
import { count, metricsLine, Reporter, type ReporterOptions } from './reporter.js';
import { differs, modelNormalization } from './saved.js';

/** Epochs where `auto` falls back to a sixth of the digits: as many updates as 20 epochs of all of them. */
const fallbackEpochs = 120;

interface TrainValues
  extends ModelConfig,
    TrainConfig,
    ReporterOptions,
    Omit<LoadOptions, 'in_dims' | 'normalize'> {
  readonly train: boolean;
  readonly init?: string;
  readonly save_model: boolean;
  readonly save_plots: boolean;
  readonly num_samples: number;
  readonly files_dir: string;
  readonly images_dir: string;
  readonly adapter?: string;
  readonly tune: string;
  readonly normalize?: string;
}

export const trainExamples = `
Examples:
  $ sae                                           train on MNIST and draw pictures into images/
  $ sae --epochs 100 --h_dims "[256, 128, 64]"    three encoder layers
  $ sae --data rows.npy --h-dims 64 --save-model  your own rows; the model goes to files/sae.safetensors
  $ sae --init files/sae.safetensors --epochs 5   go on from a saved model
  $ sae --init files/sae.safetensors --no-train   only draw its pictures

Names may be written in snake_case as well. A [bool] stands alone for True, takes True, False, 1 or 0, or is
negated: --no-shuffle.`;

/** `sae train`. */
export function trainCommand(): Command {
  const command = new Command('train')
    .description('train a sparse autoencoder and draw what it learned (the default command)')
    .addHelpText('after', trainExamples)
    // Refused below: as train is the default, they may be meant for a command.
    .allowExcessArguments();
  const all = [
    ...options.modelOptions,
    ...options.trainingOptions,
    ...options.dataOptions,
    options.validationOption,
    ...options.pictureOptions,
    options.seedOption,
    ...options.runOptions,
  ];
  for (const option of all) {
    command.addOption(option);
  }
  return command.action(async () => {
    if (command.args.length > 0) {
      throw new ConfigError(
        `"${command.args[0]}" is no command, and train takes options only; sae --help lists both. A command comes first.`,
      );
    }
    const { values, given } = valuesOf<TrainValues>(command);
    await train(values, given);
  });
}

async function train(values: TrainValues, given: ReadonlySet<string>): Promise<void> {
  const { in_dims, h_dims, activation, batch_size, lr, sparsity_lambda, sparsity_target, seed, shuffle } =
    values;
  const requested = parseModelConfig({ in_dims, h_dims, activation });
  const { epochs } = values;
  let config = parseTrainConfig({ batch_size, epochs, lr, sparsity_lambda, sparsity_target, seed, shuffle });
  options.checkNumSamples(values.num_samples);
  if (!values.train && values.init === undefined) {
    throw new ConfigError(
      'train False skips training, so it needs a saved model: name one with --init FILE.',
    );
  }
  const { init } = values;
  const saved = init === undefined ? undefined : await readModelFile(init);
  let normalize: NormalizeOption | string | undefined = values.normalize;
  if (init !== undefined && saved) {
    refuseDifferences(init, saved, requested, given);
    normalize = modelNormalization(init, saved, values.normalize);
  }
  const opening = await options.openOptions(values);
  for (const folder of foldersOf(values)) {
    await makeFolder(folder);
  }

  const reporter = new Reporter(values);
  const signal = interruptible(reporter);
  const gpu = await openGpu(opening);
  try {
    const widthMatters = given.has('in_dims') || values.data === undefined;
    const loaded = await loadWithBar(reporter, {
      ...values,
      signal,
      normalize,
      in_dims: saved?.config.in_dims ?? (widthMatters ? in_dims : undefined),
    });
    if (loaded.fellBack) {
      const longer = values.train && !given.has('epochs');
      config = longer ? { ...config, epochs: fallbackEpochs } : config;
      reporter.warn(`${loaded.fellBack}${longer ? `, for ${fallbackEpochs} epochs as they are fewer` : ''}.`);
    }
    const dataset = withShape(loaded.train, saved);
    const model = saved
      ? await Model.from(gpu, saved.config, saved.parameters)
      : await Model.create(gpu, { ...requested, in_dims: dataset.in_dims }, seed);
    describe(reporter, model, dataset, config, values.train);

    const history: EpochMetrics[] = [];
    const failure = values.train
      ? await runEpochs(model, dataset, config, {
          reporter,
          signal,
          history,
          files_dir: values.files_dir,
          init,
        })
      : undefined;
    const { normalization, image_shape } = dataset;
    const training = values.train ? config : saved?.training;
    const modelFile = join(values.files_dir, 'sae.safetensors');
    if (values.save_model) {
      const parameters = await model.parameters();
      await writeModelFile(modelFile, {
        config: model.config,
        parameters,
        normalization,
        ...(image_shape && { image_shape }),
        ...(training && { training }),
      });
      reporter.line(`model     ${modelFile}`);
      reporter.json({ model: modelFile });
    }
    if (loaded.validation && !failure) {
      const validation = await evaluate(model, loaded.validation, config);
      reporter.line(metricsLine('held out ', validation));
      reporter.json({ validation });
    }
    if (values.save_plots) {
      await drawPictures(model, loaded.validation ?? dataset, dataset, history, values, reporter);
    }
    if (!values.save_model && values.train) {
      reporter.line('The model was not saved; --save-model saves it.');
    }
    if (failure) {
      throw failure;
    }
    signal.throwIfAborted();
  } finally {
    reporter.stopBar();
    gpu.close();
  }
}

/** Trains, with a line or the bar for people and a record in metrics.jsonl. A loss that is not finite is returned. */
async function runEpochs(
  model: Model,
  dataset: Dataset,
  config: TrainConfig,
  {
    reporter,
    signal,
    history,
    files_dir,
    init,
  }: {
    reporter: Reporter;
    signal: AbortSignal;
    history: EpochMetrics[];
    files_dir: string;
    init: string | undefined;
  },
): Promise<NonFiniteLossError | undefined> {
  const file = join(files_dir, 'metrics.jsonl');
  record(file, 'w', '');
  const trainer = await Trainer.create(model, dataset, config);
  await writeRunFile(join(files_dir, 'run.json'), trainer, init);
  const digits = String(config.epochs).length;
  const label = (epoch: number) => `epoch ${String(epoch).padStart(digits)}/${config.epochs}`;
  const allSteps = config.epochs * trainer.step.batches;
  reporter.startBar(allSteps, label(1));
  try {
    let first = true;
    for await (const { steps, samples_per_second, epoch } of trainer.steps({ count: allSteps, signal })) {
      if (first) {
        // Since this process began: what a user waits for, compilation included.
        const seconds = performance.now() / 1000;
        reporter.line(`first step  ${seconds.toFixed(2)} s after the start`);
        reporter.json({ first_step_seconds: seconds });
        first = false;
      }
      if (epoch) {
        history.push(epoch);
        record(file, 'a', `${JSON.stringify(epoch)}\n`);
        reporter.json(epoch);
        reporter.line(metricsLine(label(epoch.epoch), epoch));
      }
      const done = steps[steps.length - 1].step;
      reporter.updateBar(done, label(history.length + 1), `${count(samples_per_second)} samples/s`);
    }
  } catch (error) {
    if (error instanceof NonFiniteLossError) {
      return error;
    }
    throw error;
  } finally {
    reporter.stopBar();
    trainer.close();
  }
  return undefined;
}

/** Begins metrics.jsonl anew or adds to it. @throws EngineError where it cannot be written. */
function record(file: string, flag: 'w' | 'a', text: string): void {
  try {
    writeFileSync(file, text, { flag });
  } catch (error) {
    throw new EngineError(`${file} cannot be written: ${describeFileError(error)}.`, { cause: error });
  }
}

async function drawPictures(
  model: Model,
  samples: Dataset,
  dataset: Dataset,
  history: readonly EpochMetrics[],
  { images_dir, num_samples, seed, sparsity_lambda }: TrainValues,
  reporter: Reporter,
): Promise<void> {
  const { image_shape } = dataset;
  const shaped = image_shape ? { ...samples, image_shape } : samples;
  const { files, skipped } = await drawModel(model, shaped, { images_dir, num_samples, seed });
  if (skipped) {
    reporter.warn(skipped);
  }
  if (history.length > 0) {
    files.push(await drawLoss(history, sparsity_lambda, images_dir));
  } else {
    reporter.line('No epoch was finished, so there is no loss curve.');
  }
  reporter.pictures(files);
}

/** The original's header: parameters, device, epochs. */
function describe(
  reporter: Reporter,
  { config, parameterCount, gpu }: Model,
  { name, rows, in_dims }: Dataset,
  { epochs, batch_size }: TrainConfig,
  training: boolean,
): void {
  const sizes = [config.in_dims, ...config.h_dims].join('-');
  reporter.line(`parameters  ${count(parameterCount)} (${sizes} and back, ${config.activation})`);
  reporter.line(`device      ${gpu.name}${gpu.software ? ' (software: no GPU)' : ''}`);
  reporter.line(`data        ${name}: ${count(rows)} rows of ${in_dims} values`);
  if (training) {
    reporter.line(`epochs      ${epochs}, in batches of ${batch_size}`);
  }
}

/** A saved model's sizes and activation win; an option that was given and says otherwise is refused. */
function refuseDifferences(
  file: string,
  { config }: SavedModel,
  requested: ModelConfig,
  given: ReadonlySet<string>,
): void {
  for (const name of ['in_dims', 'h_dims', 'activation'] as const) {
    if (given.has(name) && JSON.stringify(requested[name]) !== JSON.stringify(config[name])) {
      throw differs(file, name, config[name]);
    }
  }
}

/** Rows that come without a shape have the one that a saved model was trained with. */
function withShape(dataset: Dataset, saved: SavedModel | undefined): Dataset {
  const image_shape = dataset.image_shape ?? saved?.image_shape;
  return image_shape ? { ...dataset, image_shape } : dataset;
}

function foldersOf({
  train: training,
  save_model,
  save_plots,
  files_dir,
  images_dir,
}: TrainValues): string[] {
  return [...(training || save_model ? [files_dir] : []), ...(save_plots ? [images_dir] : [])];
}
