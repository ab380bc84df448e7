import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import envPaths from 'env-paths';
import { DataError } from '../../sae/errors.js';
import {
  type Dataset,
  type ImageShape,
  mnistNormalization,
  noNormalization,
} from '../../sae/rows/dataset.js';
import type { DecodeOptions } from '../../sae/rows/decode.js';
import { fitNormalization, type NormalizeOption } from '../../sae/rows/normalize.js';
import { type DownloadOptions, download, isPinned, type PinnedFile } from './download.js';
import { readDataset } from './read.js';

/** Where MNIST's digits come from, with the lengths and checksums of the files. */
export interface MnistSource {
  readonly mirrors: readonly string[];
  readonly train: PinnedFile;
  readonly test: PinnedFile;
}

/** The mirrors, lengths and checksums that several projects pin. Labels are not used here. */
export const mnistSource: MnistSource = {
  mirrors: [
    'https://ossci-datasets.s3.amazonaws.com/mnist/',
    'https://storage.googleapis.com/cvdf-datasets/mnist/',
  ],
  train: {
    name: 'train-images-idx3-ubyte.gz',
    bytes: 9_912_422,
    sha256: '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609',
  },
  test: {
    name: 't10k-images-idx3-ubyte.gz',
    bytes: 1_648_877,
    sha256: '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6',
  },
};

/** Values per row of both built-in data sets: 28 by 28 pixels. */
export const digitWidth = 784;

/** The user's cache folder, for downloaded digits and tiles. */
export function cacheFolder(): string {
  return envPaths('webgpu-sae', { suffix: '' }).cache;
}

/**
 * The path of one of MNIST's files, downloaded if it is not in the folder and that is allowed. Files of other data sets
 * have the same names: such a file is left alone, and MNIST's goes into a folder beside it.
 * @throws DataError.
 */
export async function mnistFile(
  file: PinnedFile,
  allowed: boolean,
  options: DownloadOptions,
): Promise<string> {
  const { folder } = options;
  const path = join(folder, file.name);
  if (await isPinned(path, file)) return path;
  const taken = existsSync(path);
  const own = { ...options, folder: taken ? join(folder, 'mnist') : folder };
  if (allowed) return download(file, own);
  const beside = join(own.folder, file.name);
  if (await isPinned(beside, file)) return beside;
  const what = taken
    ? ' with the right bytes and download_mnist is False (to train on the file that is there, pass it as data)'
    : ' and download_mnist is False';
  throw new DataError(`${file.name} is not in ${folder}${what}.`);
}

/**
 * Digits of a file. Its shape is known, so that nobody has to be told.
 * @param name the data set's name in messages. @param onNote is told about the normalisation.
 */
export async function readDigits(
  file: string,
  name: string,
  normalize: NormalizeOption = mnistNormalization,
  image_shape?: ImageShape,
  onNote?: DecodeOptions['onNote'],
): Promise<Dataset> {
  const rows = await readDataset(file, {
    in_dims: digitWidth,
    image_shape,
    name,
    normalize: noNormalization,
  });
  return { ...rows, normalization: await fitNormalization(normalize, rows, onNote) };
}

/**
 * The 10,000 digits that the build packs into `dist`, which is found from `src/node/data` and from `dist/node/data`.
 */
export async function readMnist10k(
  normalize?: NormalizeOption,
  image_shape?: ImageShape,
  onNote?: DecodeOptions['onNote'],
): Promise<Dataset> {
  const file = fileURLToPath(new URL('../../../dist/data/mnist-10k.idx.gz', import.meta.url));
  if (!existsSync(file)) {
    throw new DataError(
      `The digits of mnist-10k are missing: there is no file ${file}. \`npm run build\` makes it; if this is an installed package, install it again.`,
    );
  }
  return readDigits(file, 'mnist-10k', normalize, image_shape, onNote);
}
