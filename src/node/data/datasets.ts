import { type NormalizeOption, parseNormalize } from '../../sae/data/normalize.js';
import { type Dataset, mnistNormalization } from '../../sae/dataset.js';
import { ConfigError, DataError } from '../../sae/errors.js';
import type { DownloadOptions } from './download.js';
import { cacheFolder, digitWidth, type MnistSource, mnistFile, mnistSource, readMnist10k } from './mnist.js';
import { readDataset } from './read.js';

export const datasetNames = ['auto', 'mnist', 'mnist-10k'] as const;
export type DatasetName = (typeof datasetNames)[number];

export interface LoadOptions
  extends Pick<DownloadOptions, 'signal' | 'onProgress' | 'connectTimeout' | 'idleTimeout'> {
  /** `auto`, which is `mnist` where it can be had and else `mnist-10k`, where it is not given. */
  readonly dataset?: DatasetName;
  /** False: the network is never touched. True where it is not given. */
  readonly download_mnist?: boolean;
  /** A file of the user's own rows, instead of a data set by name. */
  readonly data?: string | undefined;
  /** A file of held-out rows, instead of MNIST's test digits. */
  readonly validation?: string | undefined;
  /** `mnist`, `unit`, `none`, `MEAN,STD`, or a saved model's own. The data set's own where it is not given. */
  readonly normalize?: string | NormalizeOption | undefined;
  readonly in_dims?: number | undefined;
  /** Where downloaded digits lie; the user's cache folder where it is not given. */
  readonly data_dir?: string | undefined;
  /** Where MNIST comes from. */
  readonly source?: MnistSource;
}

export interface LoadedDatasets {
  readonly train: Dataset;
  /** Held-out rows, normalised as the training rows are. */
  readonly validation?: Dataset;
  /** Set where `auto` could not have `mnist`: one line, without its full stop, of why and what is used instead. */
  readonly fellBack?: string;
  /** Set where MNIST's test digits were wanted and could not be had: a sentence. */
  readonly missingValidation?: string;
}

/** Reads, and where needed downloads, the rows to train on and those held out. Throws DataError or ConfigError. */
export async function loadDatasets(options: LoadOptions = {}): Promise<LoadedDatasets> {
  const { dataset = 'auto', data, normalize } = options;
  const option = typeof normalize === 'string' ? parseNormalize(normalize) : normalize;
  if (data !== undefined && dataset !== 'auto') {
    throw new ConfigError(
      `Both data and dataset say what to train on, ${data} and ${dataset}. Leave one of them out.`,
    );
  }
  if (data !== undefined) {
    const train = await readDataset(data, { in_dims: options.in_dims, normalize: option });
    return { train, ...(await readValidation(options, train)) };
  }
  if (options.in_dims !== undefined && options.in_dims !== digitWidth) {
    const named = dataset === 'auto' ? 'mnist' : dataset;
    throw new DataError(
      `in_dims is ${options.in_dims}, but the digits of ${named} have ${digitWidth} values a row. ` +
        'Set in_dims to that, or name a file of other rows with data.',
    );
  }
  return dataset === 'mnist-10k' ? loadMnist10k(options, option) : loadMnist(options, option);
}

async function loadMnist10k(
  options: LoadOptions,
  normalize: NormalizeOption | undefined,
): Promise<LoadedDatasets> {
  const train = await readMnist10k(normalize);
  return { train, ...(await readValidation(options, train)) };
}

async function loadMnist(options: LoadOptions, option: NormalizeOption | undefined): Promise<LoadedDatasets> {
  const { dataset, download_mnist = true, signal, onProgress, connectTimeout, idleTimeout } = options;
  const source = options.source ?? mnistSource;
  const folder = options.data_dir ?? cacheFolder();
  const fetching = { mirrors: source.mirrors, folder, signal, onProgress, connectTimeout, idleTimeout };
  const normalize = option ?? mnistNormalization;

  let file: string;
  try {
    file = await mnistFile(source.train, download_mnist, fetching);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    if (dataset === 'mnist') {
      const advice = download_mnist ? 'Try again later' : 'Set it to True';
      throw new DataError(`${error.message} ${advice}, or use dataset mnist-10k, which needs no network.`, {
        cause: error,
      });
    }
    const loaded = await loadMnist10k(options, option);
    return { ...loaded, fellBack: `${error.message} Using the 10,000 digits of mnist-10k instead` };
  }
  const train = await readDataset(file, { in_dims: digitWidth, normalize, name: 'mnist' });
  if (options.validation !== undefined) return { train, ...(await readValidation(options, train)) };

  try {
    const test = await mnistFile(source.test, download_mnist, fetching);
    const validation = await readDataset(test, {
      in_dims: digitWidth,
      normalize: train.normalization,
      name: "mnist's test digits",
    });
    return { train, validation };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { train, missingValidation: `There will be no figures on held-out digits: ${error.message}` };
  }
}

/** Held-out rows are seen as the model sees those that it trains on: never with a normalisation of their own. */
async function readValidation(
  { validation }: LoadOptions,
  train: Dataset,
): Promise<Pick<LoadedDatasets, 'validation'>> {
  if (validation === undefined) return {};
  return {
    validation: await readDataset(validation, { in_dims: train.in_dims, normalize: train.normalization }),
  };
}
