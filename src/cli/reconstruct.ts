import { Command } from 'commander';
import {
  type Activation,
  drawModel,
  evaluate,
  type LoadOptions,
  Model,
  makeFolder,
  openGpu,
  parseTrainConfig,
  preparePictures,
  type SavedModel,
  type SparsityName,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import { loadWithBar } from './data.js';
import { interruptible } from './interrupt.js';
import * as options from './options.js';
import { metricsLine, Reporter, type ReporterOptions } from './reporter.js';
import { modelNormalization, readSaved } from './saved.js';

interface ReconstructValues extends ReporterOptions, options.PictureValues, LoadOptions {
  readonly activation?: Activation;
  readonly seed: number;
  readonly adapter?: string;
  readonly tune: string;
  readonly normalize?: string;
}

/** `sae reconstruct`. */
export function reconstructCommand(): Command {
  const command = new Command('reconstruct')
    .description('measure a saved model on rows, and draw some of them above their reconstructions')
    .argument('<model>', 'a file that `sae train --save-model` wrote');
  for (const option of [
    options.activationOption,
    ...options.dataGroup,
    ...options.pictureGroup,
    options.seedOption,
    ...options.runGroup,
  ]) {
    command.addOption(option);
  }
  return command.action(async (file: string) => {
    const { values } = valuesOf<ReconstructValues>(command);
    options.checkPictures(values);
    const reporter = new Reporter(values);
    const saved = await readSaved(file, reporter, values.activation);
    await makeFolder(values.images_dir);
    await preparePictures(values.images_dir);
    await reconstruct(file, saved, values, reporter);
  });
}

async function reconstruct(
  file: string,
  saved: SavedModel,
  values: ReconstructValues,
  reporter: Reporter,
): Promise<void> {
  const normalize = modelNormalization(file, saved, values.normalize);
  const signal = interruptible(reporter);
  const gpu = await openGpu(await options.openOptions(values));
  try {
    const { in_dims } = saved.config;
    const loaded = await loadWithBar(reporter, { ...values, signal, in_dims, normalize });
    signal.throwIfAborted();
    if (loaded.fellBack) {
      reporter.warn(`${loaded.fellBack}.`);
    }
    // Held-out rows say more about the model.
    const { image_shape } = saved;
    const rows = { ...(image_shape && { image_shape }), ...(loaded.validation ?? loaded.train) };
    const dataset = options.shaped(rows, values);
    const model = await Model.from(gpu, saved.config, saved.parameters);
    const config = parseTrainConfig<SparsityName>(saved.training ?? {});
    const metrics = await evaluate(model, dataset, config);
    reporter.line(metricsLine(`${dataset.name} `, metrics, config.sparsity));
    reporter.json(metrics);
    signal.throwIfAborted();
    const { files, skipped } = await drawModel(model, dataset, values);
    if (skipped) {
      reporter.warn(skipped);
    }
    reporter.pictures(files);
  } finally {
    gpu.close();
  }
}
