import { DataError } from '../../errors.js';
import { counted, grouped } from './array.js';
import { type OpenedRows, type RowFormat, type RowsFile, rowsAtATime } from './file.js';
import { otherWidth } from './headed.js';
import { unpackedName } from './packing.js';
import { checkImageShape } from './shape.js';

// RFC 4180, and the same with other delimiters.

/** Characters of a line, at most: a file without line breaks is not read to its end. */
const longestLine = 2 ** 26;

/** Delimiters of a .csv file, of which its first lines tell one: spreadsheets write others than the comma. */
const delimiters = [',', '\t', ';'];

/** A line that is not blank. */
interface Line {
  /** From 1. */
  readonly number: number;
  readonly fields: readonly string[];
}

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
    async open(file, { in_dims, image_shape, most_bytes = Number.POSITIVE_INFINITY }): Promise<OpenedRows> {
      const { name } = file;
      let first: Line | undefined;
      let second: Line | undefined;
      for await (const line of linesOf(file, delimiter)) {
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
          for await (const line of linesOf(file, delimiter)) {
            if (hasNames && line.number === firstNumber) continue;
            piece.set(numbersOf(line, width, firstNumber, name), filled);
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

/** The lines of a file that are not blank. */
async function* linesOf(file: RowsFile, given: string): AsyncGenerator<Line> {
  // Loaded where a table is read only.
  const { default: Papa } = await import('papaparse');
  let delimiter = given;
  let number = 1;
  for await (const text of textOf(file)) {
    const { data, errors, meta } = Papa.parse<string[]>(text, { delimiter, delimitersToGuess: delimiters });
    const damage = errors.find(({ type }) => type === 'Quotes');
    if (damage) {
      throw new DataError(
        `${file.name}, line ${number + (damage.row ?? 0)}, has a quote that does not end; expected numbers.`,
      );
    }
    delimiter = meta.delimiter;
    const quoted = text.includes('"');
    for (const fields of data) {
      if (fields.length > 1 || fields[0].trim() !== '') yield { number, fields };
      number += 1;
      // A quoted name may have line breaks.
      if (quoted) number += fields.join('').match(/\r\n|\n|\r/g)?.length ?? 0;
    }
  }
}

/** A file's text in pieces of whole lines, without the last line break of each. */
async function* textOf({ name, stream }: RowsFile): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  let byte = 0;
  const decode = (chunk?: Uint8Array) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch (error) {
      throw new DataError(
        `${name} is not text in UTF-8, at byte ${grouped(byte)} or after it; expected a table of numbers as text.`,
        { cause: error },
      );
    }
  };
  for await (const chunk of stream()) {
    rest += decode(chunk);
    byte += chunk.length;
    const end = rest.lastIndexOf('\n');
    if (end >= 0) {
      yield rest.slice(0, end).replace(/\r$/, '');
      rest = rest.slice(end + 1);
    }
    if (rest.length > longestLine) {
      throw new DataError(
        `${name} has a line of more than ${grouped(longestLine)} characters, before byte ${grouped(byte)}; expected a line for ` +
          'each row.',
      );
    }
  }
  rest += decode();
  if (rest !== '') yield rest;
}

/** Whether a line has names, none of which is a number. @throws DataError if one has no name, as pandas' index. */
function isHeader({ number, fields }: Line, file: string): boolean {
  const [first, ...others] = fields.map((field) => field.trim());
  if (first === '' && others.length > 0 && !others.includes('')) {
    throw new DataError(
      `${file}, line ${number}, has no name in field 1, as where pandas writes its index; expected values alone. Write it ` +
        'with to_csv(..., index=False).',
    );
  }
  return [first, ...others].every((field) => field !== '' && Number.isNaN(Number(field)));
}

function numbersOf({ number, fields }: Line, width: number, firstNumber: number, file: string): Float32Array {
  if (fields.length !== width) {
    throw new DataError(
      `${file}, line ${number}, has ${counted(fields.length, 'field')}; expected ${width}, as in line ${firstNumber}.`,
    );
  }
  const row = new Float32Array(width);
  for (let i = 0; i < width; i++) {
    const field = fields[i].trim();
    row[i] = field === '' ? Number.NaN : Number(field);
    if (!Number.isFinite(row[i])) throw notANumber(field, file, number, i);
  }
  return row;
}

function notANumber(field: string, file: string, line: number, index: number): DataError {
  const place = `${file}, line ${line}, field ${index + 1},`;
  if (field === '') return new DataError(`${place} is empty; expected a number.`);
  const value = Number(field);
  const shown = JSON.stringify(field.length > 40 ? `${field.slice(0, 40)}...` : field);
  const what = Number.isFinite(value) ? `is ${shown}, which is beyond the range of f32` : `is ${shown}`;
  return new DataError(`${place} ${what}; expected a finite number.`);
}
