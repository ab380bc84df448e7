import { shown } from '../../gpu/shown.js';
import { DataError } from '../errors.js';
import { counted, grouped } from './formats/array.js';
import { explained, type RowsFile } from './formats/file.js';
import { unpackedName } from './formats/packing.js';
import { delimiters, tableLines, textOf } from './formats/text.js';
import type { Dataset, Rows } from './rows.js';

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
  return explained(file, async () => {
    const labels: string[] = [];
    for await (const piece of piecesOf(file, endingOf(file.name))) {
      for (const label of piece) labels.push(label);
    }
    return labels;
  });
}

/**
 * Whether a file that may be rows as well has labels: by its name or, of a table, by whether it has a column `label`; perhaps, if all
 * of several columns have numbers.
 * @throws what opening and reading it throw.
 */
export async function holdsLabels(
  name: string,
  open: () => Promise<RowsFile>,
): Promise<'yes' | 'no' | 'perhaps'> {
  const ending = endingOf(name);
  if (ending !== undefined && ['txt', 'jsonl', 'ndjson'].includes(ending)) return 'yes';
  if (ending !== 'csv' && ending !== 'tsv') return 'no';
  const file = await open();
  let names: readonly string[] | undefined;
  for await (const { fields } of tableLines(file, await delimiterOf(file, ending), expected)) {
    if (names) return fields.length > 1 && fields.every(isNumber) ? 'perhaps' : 'yes';
    if (columnIn(fields) < 0) return 'no';
    names = fields;
  }
  return names ? 'yes' : 'no';
}

const isNumber = (field: string) => field.trim() !== '' && !Number.isNaN(Number(field));

function endingOf(name: string): string | undefined {
  return /\.([^.]*)$/.exec(unpackedName(name.toLowerCase()))?.[1];
}

/**
 * What separates the fields of a table: of .csv files the first of those with which the first line has the column, since labels may have
 * others in them.
 */
async function delimiterOf(file: RowsFile, ending: 'csv' | 'tsv'): Promise<string> {
  if (ending === 'tsv') return '\t';
  for (const delimiter of delimiters) {
    try {
      const first = await tableLines(file, delimiter, expected).next();
      if (!first.done && columnIn(first.value.fields) >= 0) return delimiter;
    } catch (error) {
      // With another, quotes may not be where they belong.
      if (!(error instanceof DataError)) throw error;
    }
  }
  return delimiters[0];
}

const columnIn = (names: readonly string[]) => names.findIndex((name) => name.trim() === field);

function piecesOf(file: RowsFile, ending: string | undefined): AsyncGenerator<readonly string[]> {
  switch (ending) {
    case 'csv':
    case 'tsv':
      return columnOf(file, ending);
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

async function* columnOf(file: RowsFile, ending: 'csv' | 'tsv'): AsyncGenerator<[string]> {
  let column: number | undefined;
  let width = 0;
  for await (const { number, fields } of tableLines(file, await delimiterOf(file, ending), expected)) {
    if (column === undefined) {
      column = columnIn(fields);
      width = fields.length;
      if (column < 0) {
        throw new DataError(
          `${file.name} has no column ${field}: its line ${number} is ${shown(fields.join(', '))}; expected names there, one of ` +
            `which is ${field}. A file with a label on each line and nothing else may end in .txt.`,
        );
      }
    } else if (fields.length !== width) {
      throw new DataError(
        `${file.name}, line ${grouped(number)}, has ${counted(fields.length, 'field')}; expected ${width}, as in the line of names. What ` +
          'has a delimiter in it has to be in quotes.',
      );
    } else {
      yield [fields[column]];
    }
  }
}

/**
 * Rows with labels.
 * @param file where these come from, in messages.
 * @throws DataError if they are not as many as the rows.
 */
export function labelled<R extends Pick<Rows, 'name' | 'rows'>>(
  rows: R,
  labels: readonly string[],
  file: string,
): R & { readonly labels: readonly string[] } {
  checkLabels(labels, file, rows);
  return { ...rows, labels };
}

/** @throws DataError if labels are not as many as the rows. */
export function checkLabels(
  labels: readonly string[],
  file: string,
  { name, rows }: Pick<Rows, 'name' | 'rows'>,
): void {
  if (labels.length === rows) return;
  throw new DataError(
    `${file} has ${counted(labels.length, 'label')}, and ${name} ${counted(rows, 'row')}; expected a label for each row.`,
  );
}

/** The labels of the rows from `first` up to, not including, `end`, if rows have labels. */
export function sliceLabels(labels: Dataset['labels'], first: number, end: number): Pick<Dataset, 'labels'> {
  return labels ? { labels: labels.slice(first, end) } : {};
}

/** The labels of the given rows, if rows have labels. */
export function pickLabels(labels: Dataset['labels'], indices: readonly number[]): Pick<Dataset, 'labels'> {
  return labels ? { labels: indices.map((row) => labels[row]) } : {};
}
