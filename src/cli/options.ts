import { Option } from 'commander';
import { ConfigError, datasetNames, type OpenOptions, readTiles } from '../node/index.js';
import { parseBoolean, parseHDims, parseNumber } from './arguments.js';

// Each option once. Names are kebab-case here; normalizeArguments() lets the original's snake_case through as well.

function text(flags: string, description: string, standard?: string): Option {
  return new Option(flags, description).default(standard);
}

function numeric(flags: string, description: string, standard: number): Option {
  return new Option(flags, description).default(standard).argParser(parseNumber);
}

function boolean(flags: string, description: string, standard: boolean): Option {
  const option = new Option(flags, description).default(standard, standard ? 'True' : 'False');
  const name = option.name().replaceAll('-', '_');
  return option.argParser((word) => parseBoolean(name, word));
}

export const modelOptions = [
  numeric('--in-dims <n>', 'values a row; with --data, as many as its rows have', 784),
  new Option('--h-dims <list>', 'widths of the encoder layers, mirrored in the decoder; in quotes')
    .default([20], '"[20]"')
    .argParser(parseHDims),
  text('--activation <name>', 'relu or sigmoid', 'relu'),
];

export const trainingOptions = [
  numeric('--batch-size <n>', 'rows a training step', 64),
  numeric('--epochs <n>', 'passes over the data; 120 where auto falls back to mnist-10k', 20),
  numeric('--lr <x>', "Adam's learning rate", 1e-4),
  numeric('--sparsity-lambda <x>', 'weight of the KL sparsity penalty', 0.2),
  numeric(
    '--sparsity-target <x>',
    'mean activation that each hidden unit is pushed to, between 0 and 0.99',
    0.01,
  ),
  boolean('--shuffle [bool]', 'a new order of rows each epoch', true),
  boolean('--train [bool]', 'False: skip training; needs --init', true),
  text('--init <file>', 'start from a saved model, whose sizes win'),
  boolean('--save-model [bool]', 'save the model as sae.safetensors in --files-dir', false),
  boolean('--save-plots [bool]', 'write the pictures', true),
  text('--files-dir <folder>', 'where the model, metrics.jsonl and run.json go', 'files'),
];

export const normalizeOption = text(
  '--normalize <how>',
  "mnist, unit, none or MEAN,STD (default: the data set's own, or the saved model's)",
);

export const dataOptions = [
  text('--dataset <name>', 'auto is mnist where it can be had, else mnist-10k', 'auto').choices(datasetNames),
  text('--data <file>', 'your own rows: .npy (u8, f32, f64) or IDX, either gzipped'),
  normalizeOption,
  boolean('--download-mnist [bool]', 'allow the download of MNIST', true),
  text('--data-dir <folder>', "where downloads are kept (default: the user's cache folder)"),
];

export const validationOption = text('--validation <file>', 'held-out rows, measured at the end');

export const pictureOptions = [
  numeric('--num-samples <n>', 'samples in plot.png', 5),
  text('--images-dir <folder>', 'where the pictures go', 'images'),
];

export const seedOption = numeric('--seed <n>', 'seed of all that is random', 42);

export const jsonOption = boolean('--json [bool]', 'print one JSON object a line, and nothing else', false);

export const profileOption = boolean(
  '--profile [bool]',
  'also time every kernel of a step by itself, and the host',
  false,
);

export const tuningOption = boolean(
  '--tuning [bool]',
  'also list the tiles that were found fastest on each adapter',
  false,
);

export const runOptions = [
  text('--adapter <name>', "part of the adapter's name, as `sae devices` lists it"),
  text(
    '--tune <how>',
    'how the tile of a matrix product is chosen: off, quick, full, or a run.json to repeat',
    'quick',
  ),
  boolean('--quiet [bool]', 'print nothing but failures', false),
  jsonOption,
];

/** @throws ConfigError */
export function checkNumSamples(num_samples: number): void {
  if (!Number.isSafeInteger(num_samples) || num_samples < 1) {
    throw new ConfigError(`num_samples must be a whole number of at least 1, and is ${num_samples}.`);
  }
}

/** What `--adapter` and `--tune` say. @throws ConfigError */
export async function openOptions({
  adapter,
  tune,
}: {
  readonly adapter?: string;
  readonly tune: string;
}): Promise<OpenOptions> {
  if (tune === 'off' || tune === 'quick' || tune === 'full') {
    return { adapter, tune };
  }
  return { adapter, tune: 'off', tiles: await readTiles(tune) };
}
