import { Command } from 'commander';
import {
  drawModel,
  evaluate,
  type LoadOptions,
  Model,
  makeFolder,
  openGpu,
  readModelFile,
  type SavedModel,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import { loadWithBar } from './data.js';
import { interruptible } from './interrupt.js';
import * as options from './options.js';
import { metricsLine, Reporter, type ReporterOptions } from './reporter.js';
import { modelNormalization } from './saved.js';

interface ReconstructValues extends ReporterOptions, LoadOptions {
  readonly num_samples: number;
  readonly images_dir: string;
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
    ...options.dataOptions,
    ...options.pictureOptions,
    options.seedOption,
    ...options.runOptions,
  ]) {
    command.addOption(option);
  }
  return command.action(async (file: string) => {
    const { values } = valuesOf<ReconstructValues>(command);
    options.checkNumSamples(values.num_samples);
    const saved = await readModelFile(file);
    await makeFolder(values.images_dir);
    await reconstruct(file, saved, values, new Reporter(values));
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
    // Rows that the model has not seen tell more.
    const { image_shape } = saved;
    const dataset = { ...(image_shape && { image_shape }), ...(loaded.validation ?? loaded.train) };
    const model = await Model.from(gpu, saved.config, saved.parameters);
    const metrics = await evaluate(model, dataset, saved.training);
    reporter.line(metricsLine(`${dataset.name} `, metrics));
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
