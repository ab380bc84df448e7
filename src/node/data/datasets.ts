import { basename, dirname, join } from 'node:path';
import { shown } from '../../gpu/shown.js';
import { ConfigError, DataError } from '../../sae/errors.js';
import type { Dataset } from '../../sae/rows/dataset.js';
import { type DecodeOptions, refuseUnused } from '../../sae/rows/decode.js';
import { checkImageShape } from '../../sae/rows/formats/shape.js';
import { sliceLabels } from '../../sae/rows/labels.js';
import { type NormalizeOption, parseNormalize } from '../../sae/rows/normalize.js';
import type { Rows } from '../../sae/rows/source.js';
import type { DownloadOptions } from './download.js';
import { mostInMemory } from './memory.js';
import {
  cacheFolder,
  digitWidth,
  type MnistSource,
  mnistFile,
  mnistSource,
  readDigits,
  readMnist10k,
} from './mnist.js';
import { isPipe, onlyPipe, openPipe, pipedRows } from './piped.js';
import { divided, openParts, type PartOptions } from './read.js';
import { withLabels } from './with-labels.js';
import { readWords10k, wordWidth } from './words.js';

/**
 * Data sets by name; `auto` is `mnist` if it is cached or can be downloaded, else `mnist-10k`. `words-10k` are vectors of
 * words.
 */
export const datasetNames = ['auto', 'mnist', 'mnist-10k', 'words-10k'] as const;
export type DatasetName = (typeof datasetNames)[number];

/** Which rows to load, and from where. */
export interface LoadOptions
  extends Pick<DownloadOptions, 'signal' | 'onProgress' | 'connectTimeout' | 'idleTimeout'>,
    Pick<
      DecodeOptions,
      'in_dims' | 'image_shape' | 'trained_shape' | 'tensor' | 'rows_type' | 'onNote' | 'onRows'
    >,
    PartOptions {
  /** By default `auto`. */
  readonly dataset?: DatasetName;
  /** Whether the network may be used; by default true. */
  readonly download_mnist?: boolean;
  /** The user's own rows, instead of a data set by name: files, folders of files, and patterns. */
  readonly data?: string | readonly string[] | undefined;
  /** A file with a label for each row of `data`, in their order; `words-10k` has labels of its own. */
  readonly labels?: string | undefined;
  /** Held-out rows in the same way, instead of MNIST's test digits. */
  readonly validation?: string | readonly string[] | undefined;
  /** What `parseNormalize` takes or gives, or a saved model's own; by default the data set's own. */
  readonly normalize?: string | NormalizeOption | undefined;
  /** The folder of downloaded digits; by default the user's cache folder. */
  readonly data_dir?: string | undefined;
  /** Most bytes of rows on the device; by default what is free there. More rows than that are not kept in memory either. */
  readonly window?: number | undefined;
  /** Rows of standard input, where `rows_type` says that no header tells. */
  readonly raw_rows?: number | undefined;
  /** Where MNIST comes from. */
  readonly source?: MnistSource;
}

/** What `loadDatasets` and `openDatasets` return. */
export interface LoadedDatasets<R extends Rows = Dataset> {
  readonly train: R;
  /** The first rows, in memory, if each of `train` can be read once only. */
  readonly first?: Dataset;
  /** Held-out rows, normalised as the training rows are. */
  readonly validation?: R;
  /** As of `Parts`. */
  readonly left_out?: readonly number[];
  /** Set if `auto` could not get `mnist`: why, and what is used instead, without a full stop. */
  readonly fellBack?: string;
  /** Set if a file has the name of one of MNIST's but other contents: a message. */
  readonly otherFile?: string;
  /** Set if MNIST's test digits could not be loaded: a message. */
  readonly missingValidation?: string;
}

/** Reads the rows to train on and held-out rows into memory, and downloads them if needed. @throws DataError, ConfigError. */
export async function loadDatasets(options: Omit<LoadOptions, 'window'> = {}): Promise<LoadedDatasets> {
  // Whatever is known to fit is read into memory.
  return (await openDatasets({ ...options, window: Number.POSITIVE_INFINITY })) as LoadedDatasets;
}

/** The same, but rows that are more than `window` or the free memory allow are read from their files when they are needed. */
export async function openDatasets(options: LoadOptions = {}): Promise<LoadedDatasets<Rows>> {
  const { dataset = 'auto', data, normalize } = options;
  const option = typeof normalize === 'string' ? parseNormalize(normalize) : normalize;
  if (data !== undefined && dataset !== 'auto') {
    throw new ConfigError(
      `Both data and dataset say what to train on, ${[data].flat().join(', ')} and ${dataset}. Leave one of them out.`,
    );
  }
  const { in_dims, image_shape, tensor, rows_type, labels } = options;
  if (data === undefined && options.validation === undefined) {
    for (const [name, value, what] of [
      ['tensor', tensor, 'names an array of data'],
      ['rows_type', rows_type, 'is the type of raw data'],
    ]) {
      if (value !== undefined) {
        throw new ConfigError(
          `${name} ${what}, and has no effect on data sets by name. Leave ${value} out, or pass a file as data.`,
        );
      }
    }
  }
  if (labels !== undefined && data === undefined) {
    throw new ConfigError(
      `labels are those of the rows of data, and have no effect on data sets by name. Leave ${labels} out, or pass a file as data.`,
    );
  }
  const { split } = options;
  checkParts(options);
  if (data !== undefined) {
    if ([data].flat().some(isPipe)) return loadPiped(options, option);
    // An option may concern one of the two alone.
    const used = new Set<string>();
    const own = { ...readingOf(options), labels, normalize: option, split };
    const parts = await openParts(data, options.validation === undefined ? own : { ...own, used });
    const loaded = { ...parts, ...(await readValidation(options, parts.train, used)) };
    if (options.validation !== undefined) refuseUnused(options, used);
    return loaded;
  }
  const named = dataset === 'auto' ? 'mnist' : dataset;
  const [what, width] =
    named === 'words-10k' ? (['vectors', wordWidth] as const) : (['digits', digitWidth] as const);
  if (in_dims !== undefined && in_dims !== width) {
    throw new DataError(
      `in_dims is ${in_dims}, but the ${what} of ${named} have ${width} values a row. ` +
        'Set in_dims to that, or pass a file of other rows as data.',
    );
  }
  if (image_shape) checkImageShape(image_shape, width, named);
  if (named === 'mnist') return loadMnist(options, option);
  return loadPacked(named, options, option);
}

/** @throws ConfigError for a share that is none, and for options that exclude each other. */
function checkParts({ split, nonfinite = 'stop', validation, data }: LoadOptions): void {
  if (nonfinite !== 'stop' && nonfinite !== 'skip') {
    throw new ConfigError(`nonfinite must be stop or skip, and is ${shown(nonfinite)}.`);
  }
  if (nonfinite === 'skip' && data === undefined && validation === undefined) {
    throw new ConfigError(
      'nonfinite concerns rows of data: those of data sets by name are finite. Leave it out.',
    );
  }
  if (split === undefined) return;
  if (!(split > 0 && split < 1)) {
    throw new ConfigError(
      `split must be a share of the rows between 0 and 1, such as 0.05, and is ${shown(split)}.`,
    );
  }
  if (validation !== undefined) {
    throw new ConfigError(
      `Both split and validation say which rows are held out, ${split} and ${[validation].flat().join(', ')}. Leave one of them out.`,
    );
  }
}

/** Rows that another program writes to standard input, or to a pipe with a name. */
async function loadPiped(
  options: LoadOptions,
  normalize: NormalizeOption | undefined,
): Promise<LoadedDatasets<Rows>> {
  const { data, in_dims, image_shape, tensor, rows_type } = options;
  const pipe = await openPipe(onlyPipe([data].flat() as string[]));
  const { name } = pipe;
  for (const [option, value] of [
    ['split', options.split],
    ['nonfinite', options.nonfinite === 'skip' ? 'skip' : undefined],
  ]) {
    if (value !== undefined) {
      throw new ConfigError(
        `${option} is ${value}, and rows of ${name} come once: which of them to leave out cannot be known before. Leave it out.`,
      );
    }
  }
  const fixed = normalize === 'row' ? ({ kind: 'row' } as const) : normalize;
  if (typeof fixed === 'string') {
    throw new ConfigError(
      `normalize ${fixed} has to read all rows before the first step, and those of ${name} come once. Give MEAN,STD instead.`,
    );
  }
  const piped = await pipedRows(pipe, {
    in_dims,
    image_shape,
    tensor,
    normalize: fixed,
    rows_type,
    raw_rows: options.raw_rows,
  });
  const rows = await withLabels(options.labels, piped.rows, async () => piped.rows);
  const first = { ...piped.first, ...sliceLabels(rows.labels, 0, piped.first.rows) };
  return { train: rows, first, ...(await readValidation(options, rows)) };
}

/** Loads a data set that is part of this package. */
async function loadPacked(
  dataset: 'mnist-10k' | 'words-10k',
  options: LoadOptions,
  normalize: NormalizeOption | undefined,
): Promise<LoadedDatasets<Rows>> {
  const read = dataset === 'words-10k' ? readWords10k : readMnist10k;
  const { image_shape, onNote, split } = options;
  if (split !== undefined) {
    const rows = await read(undefined, image_shape);
    return divided(rows, [{ file: dataset, rows: rows.rows }], { split, normalize, onNote });
  }
  const train = await read(normalize, image_shape, onNote);
  return { train, ...(await readValidation(options, train)) };
}

async function loadMnist(
  options: LoadOptions,
  option: NormalizeOption | undefined,
): Promise<LoadedDatasets<Rows>> {
  const { dataset, download_mnist = true, signal, onProgress, connectTimeout, idleTimeout } = options;
  const source = options.source ?? mnistSource;
  const folder = options.data_dir ?? cacheFolder();
  const fetching = { mirrors: source.mirrors, folder, signal, onProgress, connectTimeout, idleTimeout };

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
    const loaded = await loadPacked('mnist-10k', options, option);
    return { ...loaded, fellBack: `${error.message} Using the 10,000 digits of mnist-10k instead` };
  }
  const { image_shape, onNote } = options;
  const other = dirname(file) !== folder && { otherFile: otherFile(folder, file) };
  if (options.split !== undefined) {
    const rows = await readDigits(file, 'mnist', undefined, image_shape);
    const { split } = options;
    const parts = await divided(rows, [{ file: 'mnist', rows: rows.rows }], {
      split,
      normalize: option,
      onNote,
    });
    return { ...parts, ...other };
  }
  const data = await readDigits(file, 'mnist', option, image_shape, onNote);
  const loaded = { train: data, ...other };
  if (options.validation !== undefined) return { ...loaded, ...(await readValidation(options, data)) };

  try {
    const test = await mnistFile(source.test, download_mnist, fetching);
    const validation = await readDigits(test, "mnist's test digits", data.normalization, image_shape);
    return { ...loaded, validation };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { ...loaded, missingValidation: `Held-out digits will not be measured: ${error.message}` };
  }
}

function otherFile(folder: string, file: string): string {
  return (
    `${join(folder, basename(file))} has the name of one of MNIST's files but other contents. It was left alone, and MNIST's ` +
    `file is ${file}; to train on the other one, pass it as data.`
  );
}

/** How files are read, whatever their rows are for. */
function readingOf({
  in_dims,
  image_shape,
  trained_shape,
  tensor,
  rows_type,
  onNote,
  onRows,
  signal,
  window,
  nonfinite,
}: LoadOptions) {
  const most_memory = mostInMemory(window);
  return {
    in_dims,
    image_shape,
    trained_shape,
    tensor,
    rows_type,
    onNote,
    onRows,
    signal,
    nonfinite,
    most_memory,
  };
}

/** Reads held-out rows, with the normalisation of the training rows. */
async function readValidation(
  options: LoadOptions,
  { in_dims, normalization, image_shape: trained_shape }: Rows,
  used?: Set<string>,
): Promise<Pick<LoadedDatasets<Rows>, 'validation'>> {
  const { validation } = options;
  if (validation === undefined) return {};
  const pipe = [validation].flat().find(isPipe);
  if (pipe !== undefined) {
    throw new ConfigError(
      `validation is ${pipe}, whose rows come once and are measured again and again. Name a file, or pass it as data.`,
    );
  }
  const own = { ...readingOf(options), in_dims, trained_shape, normalize: normalization };
  return { validation: (await openParts(validation, { ...own, ...(used && { used }) })).train };
}
