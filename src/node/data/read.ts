import { basename } from 'node:path';
import { DataError } from '../../sae/errors.js';
import type { Dataset } from '../../sae/rows/dataset.js';
import { type DecodeOptions, openRowFiles, type RowFiles } from '../../sae/rows/decode.js';
import { counted } from '../../sae/rows/formats/array.js';
import { type Rows, valueBytes } from '../../sae/rows/source.js';
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
 * are read from their places whenever they are needed; if that is not possible, as in a packed file, they are unpacked into
 * a temporary file first.
 * @throws as `readDataset`; DataError if the temporary file cannot be written.
 */
export async function openDataset(
  named: string | readonly string[],
  { most_memory, ...options }: ReadRowsOptions & { readonly most_memory: number },
): Promise<Rows> {
  const files = await openFiles(named, options);
  return withLabels(options.labels, files, () => load(files, most_memory));
}

async function load(files: RowFiles, most_memory: number): Promise<Rows> {
  const { rows, in_dims, type } = files;
  const bytes = rows === undefined ? undefined : rows * in_dims * valueBytes[type];
  if (bytes !== undefined && bytes <= most_memory) return files.inMemory();
  if (files.placed) return files.inPlace();
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
    ...files.map((file) => () => (isUrl(file) ? urlFile(file) : rowsFile(file))),
  ];
  const others = files.length - 1;
  const [first = ''] = files;
  const name = `${basename(isUrl(first) ? shownUrl(first) : first)}${others > 0 ? ` and ${counted(others, 'more file')}` : ''}`;
  return openRowFiles(sources, { name, image_decoder: imageDecoder, ...options });
}
