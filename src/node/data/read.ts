import { basename } from 'node:path';
import { DataError } from '../../sae/errors.js';
import type { Dataset } from '../../sae/rows/dataset.js';
import { type DecodeOptions, openRowFiles, type RowFiles } from '../../sae/rows/decode.js';
import { counted } from '../../sae/rows/formats/array.js';
import { fitNormalization } from '../../sae/rows/normalize.js';
import { type Rows, valueBytes } from '../../sae/rows/source.js';
import { nonFiniteRows, type RowPlace, splitRows, subset } from '../../sae/rows/subset.js';
import { watched } from '../../sae/rows/watched.js';
import { findDataFiles } from './find.js';
import { imageDecoder } from './images.js';
import { rowsFile } from './rows-file.js';
import { unpackedRows } from './unpacked.js';
import { isUrl, shownUrl, urlFile } from './url-file.js';
import { withLabels } from './with-labels.js';

/** Which labels the rows have, and how they are to be read. */
export interface ReadRowsOptions extends DecodeOptions {
  /** A file with a label for each row, in their order: see `readLabels`. */
  readonly labels?: string | undefined;
}

/**
 * Reads rows into memory, of one file or of several one after another, packed or not, recognised by their content and, as
 * text, by their names. All types but u8 become f32, integers as they are. Headers of all files are checked before values
 * are read.
 * @param named files, folders of files, and patterns such as `shards/*.npy`: those of a folder or pattern in the natural
 *   order of their names. The data set has the name of the first, unless `options` has another.
 * @throws DataError that lists all that is wrong with the headers, or for another number of labels than of rows;
 *   ConfigError for an image_shape of another number of values.
 */
export async function readDataset(
  named: string | readonly string[],
  options: ReadRowsOptions = {},
): Promise<Dataset> {
  const files = await openFiles(named, options);
  return withLabels(options.labels, files, () => files.inMemory());
}

/**
 * Opens rows as `readDataset` reads them, and reads them into memory only if they take at most `most_memory` bytes there. More
 * are read from their places whenever they are needed; if that is not possible, as in a packed file, or would unpack others each time,
 * they are unpacked into a temporary file first.
 * @throws as `readDataset`; DataError if the temporary file cannot be written.
 */
export async function openDataset(
  named: string | readonly string[],
  { most_memory, ...options }: ReadRowsOptions & { readonly most_memory: number },
): Promise<Rows> {
  const files = await openFiles(named, options);
  return withLabels(options.labels, files, () => load(files, most_memory));
}

/** Which rows are left out or held out. */
export interface PartOptions {
  /** Whether rows with values that are not finite end the reading, or are left out; by default they end it. */
  readonly nonfinite?: 'stop' | 'skip' | undefined;
  /** The share of rows that are held out, if any are. */
  readonly split?: number | undefined;
}

/** Rows to train on, and those that are held out. */
export interface Parts {
  readonly train: Rows;
  readonly validation?: Rows;
  /** The numbers of the rows that are left out since they are not finite, ascending, from 0, if any are. */
  readonly left_out?: readonly number[];
}

/**
 * Opens rows as `openDataset` does, without those that are to be left out, in two parts if a share is held out. A normalisation
 * is fitted to those to train on.
 * @throws as `openDataset`; DataError if a part has no rows.
 */
export async function openParts(
  named: string | readonly string[],
  options: Omit<ReadRowsOptions, 'nonfinite'> & PartOptions & { readonly most_memory: number },
): Promise<Parts> {
  const { nonfinite = 'stop', split, normalize, most_memory, labels, onNote, ...own } = options;
  if (nonfinite === 'stop' && split === undefined) {
    return { train: await openDataset(named, { ...own, normalize, most_memory, labels, onNote }) };
  }
  const files = await openFiles(named, {
    ...own,
    onNote,
    ...(nonfinite === 'skip' && { nonfinite: 'keep' }),
  });
  const rows = await withLabels(labels, files, () => load(files, most_memory));
  const without = nonfinite === 'skip' ? await nonFiniteRows(watched(rows, own)) : [];
  if (without.length > 0) {
    onNote?.(
      `${counted(without.length, 'row')} of ${rows.name} with values that are not finite ${without.length === 1 ? 'is' : 'are'} left out, the ` +
        `first ${placeOf(without[0], files.places)} (from 0).`,
    );
  }
  const parts = await divided(rows, files.places, { ...own, split, without, normalize, onNote });
  return { ...parts, ...(without.length > 0 && { left_out: without }) };
}

/** Rows in two parts. @param without numbers of rows that are in neither. @throws as `openParts`. */
export async function divided(
  rows: Rows,
  places: readonly RowPlace[],
  options: Pick<ReadRowsOptions, 'normalize' | 'onNote' | 'signal' | 'onRows'> & {
    readonly split: number | undefined;
    readonly without?: readonly number[];
  },
): Promise<Parts> {
  const { split, without, normalize, onNote } = options;
  const { training, held_out } = splitRows(places, split ?? 0, without);
  for (const [what, part] of [
    ['to train on', training],
    ['to hold out', held_out],
  ] as const) {
    if (part.length > 0 || (part === held_out && split === undefined)) continue;
    const why = split === undefined ? '' : ` with split ${split}`;
    throw new DataError(`Of the ${counted(rows.rows, 'row')} of ${rows.name}, none is left ${what}${why}.`);
  }
  const train = subset(rows, training);
  const normalization = await fitNormalization(normalize, watched(train, options), onNote);
  const normalized = { ...train, normalization };
  if (split === undefined) return { train: normalized };
  return { train: normalized, validation: { ...subset(rows, held_out), normalization } };
}

function placeOf(row: number, places: readonly RowPlace[]): string {
  let left = row;
  for (const { file, rows } of places) {
    if (left < rows) return `row ${left} of ${file}`;
    left -= rows;
  }
  return `row ${row}`;
}

async function load(files: RowFiles, most_memory: number): Promise<Rows> {
  const { rows, in_dims, type } = files;
  const bytes = rows === undefined ? undefined : rows * in_dims * valueBytes[type];
  if (bytes !== undefined && bytes <= most_memory) return files.inMemory();
  if (files.placed && !files.unpacks) return files.inPlace();
  return (bytes === undefined ? await files.inMemory(most_memory) : undefined) ?? unpackedRows(files);
}

/** Opens the files of rows as `readDataset` does, and reads their headers alone. @throws as `readDataset`. */
export async function openFiles(
  named: string | readonly string[],
  options: DecodeOptions = {},
): Promise<RowFiles> {
  const { files, missing, notes } = await findDataFiles(named, options);
  notes.forEach((note) => {
    options.onNote?.(note);
  });
  if (files.length + missing.length === 0) {
    throw new DataError('No file of rows is named; expected at least one.');
  }
  const sources = [
    ...missing.map((error) => () => Promise.reject(error)),
    ...files.map((file) => () => (isUrl(file) ? urlFile(file, options) : rowsFile(file))),
  ];
  const others = files.length - 1;
  const [first = ''] = files;
  const name = `${basename(isUrl(first) ? shownUrl(first) : first)}${others > 0 ? ` and ${counted(others, 'more file')}` : ''}`;
  return openRowFiles(sources, { name, image_decoder: imageDecoder, ...options });
}
