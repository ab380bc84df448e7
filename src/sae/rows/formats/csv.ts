import { DataError } from '../../errors.js';
import { counted, grouped } from './array.js';
import { type OpenedRows, type RowFormat, rowsAtATime } from './file.js';
import { otherWidth } from './headed.js';
import { unpackedName } from './packing.js';
import { checkImageShape } from './shape.js';
import { type TableLine, tableLines } from './text.js';

// RFC 4180, and the same with other delimiters.

/** What such a file should be, in messages. */
const expected = 'a table of numbers as text';

export const csv = table('.csv', /\.csv$/i, '');
export const tsv = table('.tsv', /\.tsv$/i, '\t');

/**
 * A table of numbers as text, with or without a line of names. Text has no magic number: files are told by their names.
 * @param delimiter '' if the first lines tell it.
 */
function table(name: string, endings: RegExp, delimiter: string): RowFormat {
  return {
    name,
    article: 'a',
    endings,
    recognizes: (_, file) => endings.test(unpackedName(file)),
    async open(file, options): Promise<OpenedRows> {
      const { in_dims, image_shape, nonfinite, most_bytes = Number.POSITIVE_INFINITY } = options;
      const { name } = file;
      let first: TableLine | undefined;
      let second: TableLine | undefined;
      for await (const line of tableLines(file, delimiter, expected)) {
        if (first) {
          second = line;
          break;
        }
        first = line;
      }
      if (!first)
        throw new DataError(`${name} has blank lines only; expected a line of numbers for each row.`);
      const hasNames = isHeader(first, name);
      if (hasNames && !second) {
        throw new DataError(
          `${name} has no rows: its line ${first.number} has names, and none of numbers follows.`,
        );
      }
      const width = first.fields.length;
      if (in_dims !== undefined && width !== in_dims) throw otherWidth(name, width, in_dims);
      if (image_shape) checkImageShape(image_shape, width, name);
      const { number: firstNumber } = first;
      return {
        file: name,
        type: 'f32',
        element: 'text',
        rows: undefined,
        in_dims: width,
        ...(image_shape && { image_shape }),
        notes: hasNames
          ? [
              {
                about: 'names',
                sentence: `Line ${firstNumber} of ${name} has names, and is not read as a row.`,
              },
            ]
          : [],
        async *pieces() {
          let piece = new Float32Array(rowsAtATime(4 * width) * width);
          let filled = 0;
          let bytes = 0;
          for await (const line of tableLines(file, delimiter, expected)) {
            if (hasNames && line.number === firstNumber) continue;
            piece.set(numbersOf(line, width, firstNumber, name, nonfinite === 'keep'), filled);
            filled += width;
            bytes += 4 * width;
            if (bytes > most_bytes) {
              throw new DataError(
                `${name} has more than ${grouped(most_bytes)} bytes of f32 values, which is the most that is accepted here. Use ` +
                  'fewer rows.',
              );
            }
            if (filled === piece.length) {
              yield piece;
              piece = new Float32Array(piece.length);
              filled = 0;
            }
          }
          if (filled > 0) yield piece.subarray(0, filled);
        },
      };
    },
  };
}

/** Whether a line has names, none of which is a number. @throws DataError if one has no name, as pandas' index. */
function isHeader({ number, fields }: TableLine, file: string): boolean {
  const [first, ...others] = fields.map((field) => field.trim());
  if (first === '' && others.length > 0 && !others.includes('')) {
    throw new DataError(
      `${file}, line ${number}, has no name in field 1, as where pandas writes its index; expected values alone. Write it ` +
        'with to_csv(..., index=False).',
    );
  }
  const all = [first, ...others];
  // What pandas calls columns that have no names.
  if (all.length > 1 && all.every((field, i) => field === String(i))) return true;
  return all.every((field) => field !== '' && Number.isNaN(Number(field)) && !nonfiniteWord.test(field));
}

/** As `nan`, `inf` and what C and Python print besides. */
const nonfiniteWord = /^[+-]?(nan|inf|infinity)$/i;

function numbersOf(
  { number, fields }: TableLine,
  width: number,
  firstNumber: number,
  file: string,
  keep: boolean,
): Float32Array {
  if (fields.length !== width) {
    throw new DataError(
      `${file}, line ${number}, has ${counted(fields.length, 'field')}; expected ${width}, as in line ${firstNumber}.`,
    );
  }
  const row = new Float32Array(width);
  for (let i = 0; i < width; i++) {
    const field = fields[i].trim();
    row[i] = field === '' ? Number.NaN : Number(field);
    if (Number.isFinite(row[i])) continue;
    if (!keep || !(nonfiniteWord.test(field) || Number.isFinite(Number(field)))) {
      throw notANumber(fields, i, file, number);
    }
    if (/inf/i.test(field)) row[i] = field.startsWith('-') ? -Infinity : Infinity;
  }
  return row;
}

function notANumber(fields: readonly string[], index: number, file: string, line: number): DataError {
  const field = fields[index].trim();
  const place = `${file}, line ${line}, field ${index + 1},`;
  if (field === '') return new DataError(`${place} is empty; expected a number.`);
  const value = Number(field);
  const shown = JSON.stringify(field.length > 40 ? `${field.slice(0, 40)}...` : field);
  const what = Number.isFinite(value) ? `is ${shown}, which is beyond the range of f32` : `is ${shown}`;
  return new DataError(`${place} ${what}; expected a finite number.${hintFor(fields, index)}`);
}

/** What is likely to be meant where a field is no number. */
function hintFor(fields: readonly string[], index: number): string {
  const [first, ...others] = fields;
  const numbers = (words: readonly string[]) =>
    words.length > 0 && words.every((word) => Number.isFinite(Number(word || 'x')));
  if (fields.length === 1 && numbers(first.trim().split(/\s+/))) {
    return " Its numbers are separated by spaces; a table's are by commas, semicolons or tabs.";
  }
  return index === 0 && numbers(others)
    ? ' The first column is text: leave it out (cut -d, -f2-), and put it into a file of its own (cut -d, -f1) that --labels takes.'
    : '';
}
