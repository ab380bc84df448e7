import { checkLabels, labelled, readLabels } from '../../sae/rows/labels.js';
import type { Rows } from '../../sae/rows/source.js';
import { rowsFile } from './rows-file.js';

/**
 * Loads rows, which get the labels of a file if one is named.
 * @param described the rows' name, and their number if it is known before they are loaded.
 * @throws DataError if labels cannot be read or are not as many as the rows, and whatever `load` throws.
 */
export async function withLabels<R extends Rows>(
  file: string | undefined,
  described: { readonly name: string; readonly rows: number | undefined },
  load: () => Promise<R>,
): Promise<R> {
  if (file === undefined) return load();
  const labels = await readLabels(await rowsFile(file, { expected: 'a file of labels' }));
  const { name, rows } = described;
  if (rows !== undefined) checkLabels(labels, file, { name, rows });
  return labelled(await load(), labels, file);
}
