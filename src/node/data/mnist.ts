import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import envPaths from 'env-paths';
import type { NormalizeOption } from '../../sae/data/normalize.js';
import { type Dataset, mnistNormalization } from '../../sae/dataset.js';
import { DataError } from '../../sae/errors.js';
import { type DownloadOptions, download, isPinned, type PinnedFile } from './download.js';
import { readDataset } from './read.js';

/** Where MNIST's digits come from, and what every byte of them hashes to. */
export interface MnistSource {
  readonly mirrors: readonly string[];
  readonly train: PinnedFile;
  readonly test: PinnedFile;
}

/** The two mirrors, lengths and checksums are those that several projects pin. Labels are not used here. */
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

/** Values a row of both built-in data sets: 28 by 28 pixels. */
export const digitWidth = 784;

/** The user's cache folder, where downloaded digits stay. */
export function cacheFolder(): string {
  return envPaths('webgpu-sae', { suffix: '' }).cache;
}

/**
 * The path of one of MNIST's files: from the folder if it is there and right, else downloaded, if that is allowed. Throws
 * DataError.
 */
export async function mnistFile(
  file: PinnedFile,
  allowed: boolean,
  options: DownloadOptions,
): Promise<string> {
  if (allowed) return download(file, options);
  const path = join(options.folder, file.name);
  if (await isPinned(path, file)) return path;
  throw new DataError(
    `${file.name} is not in ${options.folder}${existsSync(path) ? ' with the right bytes' : ''} and download_mnist is False.`,
  );
}

/** The 10,000 digits that the build packs. They lie in `dist` both for `src/node/data` and for `dist/node/data`. */
export async function readMnist10k(normalize: NormalizeOption = mnistNormalization): Promise<Dataset> {
  const file = fileURLToPath(new URL('../../../dist/data/mnist-10k.idx.gz', import.meta.url));
  if (!existsSync(file)) {
    throw new DataError(
      `The digits of mnist-10k are missing: there is no file ${file}. \`npm run build\` makes it, in an installed package install it anew.`,
    );
  }
  return readDataset(file, { in_dims: digitWidth, normalize, name: 'mnist-10k' });
}
