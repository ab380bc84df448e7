import { shown } from '../../gpu/shown.js';
import { DataError } from '../errors.js';
import { counted, grouped } from './formats/array.js';
import { explained, type RowsFile } from './formats/file.js';
import { unpackedName } from './formats/packing.js';
import { tableLines, textOf } from './formats/text.js';
import type { Dataset } from './rows.js';

/** The name of the labels' column in a table, and of their key in objects. */
const field = 'label';
/** What such a file should be, in messages. */
const expected = 'labels as text';

/**
 * Reads labels, one for each row, by the ending of the file's name: of a table (.csv or .tsv) the column `label`; of
 * JSONL, the text, number or boolean on each line, or that under the key `label` of the object there; of any other
 * file, its lines as they are.
 * @throws DataError, and what the file explains.
 */
export function readLabels(file: RowsFile): Promise<string[]> {
  const [, ending] = /\.([^.]*)$/.exec(unpackedName(file.name.toLowerCase())) ?? [];
  return explained(file, async () => {
    const labels: string[] = [];
    for await (const piece of piecesOf(file, ending)) {
      for (const label of piece) labels.push(label);
    }
    return labels;
  });
}

function piecesOf(file: RowsFile, ending: string | undefined): AsyncGenerator<readonly string[]> {
  switch (ending) {
    case 'csv':
      return columnOf(file, '');
    case 'tsv':
      return columnOf(file, '\t');
    case 'jsonl':
    case 'ndjson':
      return valuesOf(file);
    default:
      return linesOf(file);
  }
}

async function* linesOf(file: RowsFile): AsyncGenerator<string[]> {
  for await (const text of textOf(file, expected)) yield text.split(/\r?\n/);
}

async function* valuesOf(file: RowsFile): AsyncGenerator<string[]> {
  let before = 0;
  for await (const lines of linesOf(file)) {
    yield lines.map((line, i) => labelOf(line, before + i + 1, file.name));
    before += lines.length;
  }
}

/** @param number from 1. */
function labelOf(line: string, number: number, file: string): string {
  const wrong = (what: string, cause?: unknown) =>
    new DataError(
      `${file}, line ${grouped(number)}, is ${what}; expected a label in quotes, or an object with one as ${field}.`,
      { cause },
    );
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw wrong(`no JSON: ${shown(line)}`, error);
  }
  const isObject = typeof value === 'object' && value !== null;
  const label = isObject ? (value as Record<string, unknown>)[field] : value;
  if (!['string', 'number', 'boolean'].includes(typeof label)) throw wrong(shown(value));
  return String(label);
}

async function* columnOf(file: RowsFile, delimiter: string): AsyncGenerator<[string]> {
  let column: number | undefined;
  for await (const { number, fields } of tableLines(file, delimiter, expected)) {
    if (column === undefined) {
      column = fields.findIndex((name) => name.trim() === field);
      if (column < 0) {
        throw new DataError(
          `${file.name} has no column ${field}: its line ${number} is ${shown(fields.join(', '))}; expected names there, one of ` +
            `which is ${field}. A file with a label on each line and nothing else may end in .txt.`,
        );
      }
    } else if (column >= fields.length) {
      throw new DataError(
        `${file.name}, line ${grouped(number)}, has ${counted(fields.length, 'field')}; expected a ${field} in field ${column + 1}.`,
      );
    } else {
      yield [fields[column]];
    }
  }
}

/** The labels of the rows from `first` up to, not including, `end`, if rows have labels. */
export function sliceLabels(labels: Dataset['labels'], first: number, end: number): Pick<Dataset, 'labels'> {
  return labels ? { labels: labels.slice(first, end) } : {};
}

/** The labels of the given rows, if rows have labels. */
export function pickLabels(labels: Dataset['labels'], indices: readonly number[]): Pick<Dataset, 'labels'> {
  return labels ? { labels: indices.map((row) => labels[row]) } : {};
}
