import { Command, Option } from 'commander';
import {
  type Activation,
  ConfigError,
  closePipes,
  drawModel,
  evaluate,
  type LoadOptions,
  Model,
  makeFolder,
  openGpu,
  parseTrainConfig,
  placementOf,
  preparePictures,
  type SavedModel,
  type SparsityName,
  storedUnits,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import { checkAdapter } from './checked.js';
import { loadWithBar } from './data.js';
import { interruptible } from './interrupt.js';
import * as options from './options.js';
import { metricsLine, Reporter, type ReporterOptions } from './reporter.js';
import { modelNormalization, readSaved } from './saved.js';
import { type WriteRowsValues, type WrittenRows, writeRows } from './write-rows.js';

interface ReconstructValues extends ReporterOptions, options.PictureValues, LoadOptions {
  readonly data?: readonly string[];
  readonly activation?: Activation;
  readonly seed: number;
  readonly adapter?: string;
  readonly tune: string;
  readonly normalize?: string;
  readonly out?: string;
}

const reconstructions: WrittenRows = {
  what: 'values',
  tensor: 'reconstructions',
  sparse: false,
  field: 'in_dims',
  width: (model) => model.config.in_dims,
  of: async (model, block) => storedUnits(await model.reconstruct(block), block),
};

/** `sae reconstruct`. */
export function reconstructCommand(): Command {
  const command = new Command('reconstruct')
    .description(
      'measure a saved model on rows, and draw some of them above their reconstructions; or write all reconstructions',
    )
    .argument('<model>', options.savedModel)
    .addOption(
      new Option(
        '--out <file>',
        'write the reconstructions of --data as .npy or .safetensors, [rows, values] of f32, in the units of its rows; measures and draws nothing',
      ),
    );
  for (const option of [
    options.activationOption,
    ...options.dataGroup,
    ...options.partOptions,
    ...options.pictureGroup,
    options.seedOption,
    ...options.runGroup,
  ]) {
    command.addOption(option);
  }
  return command.action(async (file: string) => {
    const { values, given } = valuesOf<ReconstructValues>(command);
    const { data, out } = values;
    if (out !== undefined) {
      refusePictureOptions(given);
      if (data === undefined) {
        throw new ConfigError('out writes reconstructions of your own rows: name them with --data PATH.');
      }
      await writeRows(file, { ...values, data, out } satisfies WriteRowsValues, reconstructions);
      return;
    }
    options.checkPictures(values);
    const reporter = new Reporter(values);
    const saved = await readSaved(file, reporter, values.activation);
    await makeFolder(values.images_dir);
    await preparePictures(values.images_dir);
    await reconstruct(file, saved, values, reporter);
  });
}

/** The options that mean something where reconstructions are written. */
const ofWriting = new Set([
  'out',
  'activation',
  'data',
  'tensor',
  'rows_type',
  'normalize',
  'nonfinite',
  'window',
  'adapter',
  'tune',
  'quiet',
  'json',
]);

/** @throws ConfigError if one was given that would have no effect. */
function refusePictureOptions(given: ReadonlySet<string>): void {
  const other = [...given].find((name) => !ofWriting.has(name));
  if (other !== undefined) {
    throw new ConfigError(
      `${other} has no effect with out, which writes the reconstructions of data and draws nothing. Leave it out.`,
    );
  }
}

async function reconstruct(
  file: string,
  saved: SavedModel,
  values: ReconstructValues,
  reporter: Reporter,
): Promise<void> {
  const normalize = modelNormalization(file, saved, values.normalize);
  const signal = interruptible(reporter, 'rows');
  const opening = await options.openOptions(values);
  const gpu = await openGpu(opening);
  try {
    const { in_dims } = saved.config;
    const loaded = await loadWithBar(reporter, {
      ...values,
      signal,
      in_dims,
      normalize,
      trained_shape: saved.image_shape,
    });
    signal.throwIfAborted();
    if (loaded.fellBack) {
      reporter.warn(`${loaded.fellBack}.`);
    }
    // Held-out rows say more about the model.
    const { image_shape } = saved;
    const dataset = { ...(image_shape && { image_shape }), ...(loaded.validation ?? loaded.train) };
    const model = await Model.from(gpu, saved.config, saved.parameters);
    const config = parseTrainConfig<SparsityName>(saved.training ?? {}, saved.config);
    const metrics = await evaluate(model, dataset, config, placementOf(dataset, gpu, values.window));
    await checkAdapter({ gpu, opening, reporter });
    reporter.line(
      metricsLine(
        `${dataset.name}${values.split === undefined ? '' : ', held out'} `,
        metrics,
        config.sparsity,
      ),
    );
    reporter.json(metrics);
    signal.throwIfAborted();
    const drawn = {
      ...(image_shape && { image_shape }),
      ...(loaded.validation ?? loaded.first ?? loaded.train),
    };
    const { files, skipped } = await drawModel(model, drawn, values);
    if (skipped) {
      reporter.warn(skipped);
    }
    reporter.pictures(files);
  } finally {
    closePipes();
    gpu.close();
  }
}
