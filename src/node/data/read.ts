import { basename } from 'node:path';
import { DataError } from '../../sae/errors.js';
import type { Dataset } from '../../sae/rows/dataset.js';
import { type DecodeOptions, decodeRows } from '../../sae/rows/decode.js';
import { counted } from '../../sae/rows/formats/array.js';
import { findDataFiles } from './find.js';
import { rowsFile } from './rows-file.js';

/**
 * Reads rows, of one file or of several one after another, gzipped or not, recognised by their content and, as text, by
 * their names. All types but u8 become f32, integers as they are. Headers of all files are checked before values are read.
 * @param named files, folders of files, and patterns such as `shards/*.npy`: those of a folder or pattern in the natural
 *   order of their names. The data set has the name of the first, unless `options` has another.
 * @throws DataError that lists all that is wrong with the headers; ConfigError for an image_shape of another number of
 *   values.
 */
export async function readDataset(
  named: string | readonly string[],
  options: DecodeOptions = {},
): Promise<Dataset> {
  const { files, missing, notes } = await findDataFiles(named);
  notes.forEach((note) => {
    options.onNote?.(note);
  });
  if (files.length + missing.length === 0) {
    throw new DataError('No file of rows is named; expected at least one.');
  }
  const sources = [
    ...missing.map((error) => () => Promise.reject(error)),
    ...files.map((file) => () => rowsFile(file)),
  ];
  const others = files.length - 1;
  const name = `${basename(files[0] ?? '')}${others > 0 ? ` and ${counted(others, 'more file')}` : ''}`;
  return decodeRows(sources, { name, ...options });
}
