import { DataError } from '../../errors.js';
import { grouped } from './array.js';
import type { RowsFile } from './file.js';

/** Characters of a line, at most: a file without line breaks is not read to its end. */
const longestLine = 2 ** 26;

/**
 * A file's text in pieces of whole lines, without the last line break of each.
 * @param expected what the file should be, in messages: `a table of numbers as text`.
 * @throws DataError if it is not UTF-8, or a line does not end; and whatever the file throws.
 */
export async function* textOf({ name, stream }: RowsFile, expected: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  let byte = 0;
  const decode = (chunk?: Uint8Array) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch (error) {
      throw new DataError(
        `${name} is not text in UTF-8, at byte ${grouped(byte)} or after it; expected ${expected}.`,
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

/** A line of a table that is not blank; with quoted line breaks, several of the file. */
export interface TableLine {
  /** From 1. */
  readonly number: number;
  readonly fields: readonly string[];
}

const lineBreak = /\r\n|\n|\r/;
const lineBreaks = new RegExp(lineBreak, 'g');

/** Delimiters of a .csv file, of which its first lines tell one: spreadsheets write others than the comma. */
export const delimiters = [',', '\t', ';'];

/**
 * The lines of a table, as in RFC 4180, that are not blank.
 * @param given the delimiter; '' if the first lines tell it.
 * @param expected as for `textOf`.
 * @throws DataError as `textOf`, and for a quote that does not end.
 */
export async function* tableLines(
  file: RowsFile,
  given: string,
  expected: string,
): AsyncGenerator<TableLine> {
  // Loaded where a table is read only.
  const { default: Papa } = await import('papaparse');
  let delimiter = given;
  let number = 1;
  for await (const text of closedPieces(textOf(file, expected))) {
    const { data, errors, meta } = Papa.parse<string[]>(text, { delimiter, delimitersToGuess: delimiters });
    const damage = errors.find(({ type }) => type === 'Quotes');
    if (damage) {
      throw new DataError(
        `${file.name}, line ${number + (damage.row ?? 0)}, has a quote that does not end; expected ${expected}.`,
      );
    }
    delimiter = meta.delimiter;
    const quoted = text.includes('"');
    const [first, lines] = [number, quoted ? text.split(lineBreak) : []];
    for (const fields of data) {
      // A field that is empty, in quotes, is one.
      const blank = fields.length === 1 && fields[0].trim() === '' && !lines[number - first]?.includes('"');
      if (!blank) yield { number, fields };
      number += 1;
      // A quoted field may have line breaks.
      if (quoted) number += fields.join('').match(lineBreaks)?.length ?? 0;
    }
  }
}

/** The same text in pieces that no quoted field goes beyond: those with an even number of quotes. */
async function* closedPieces(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let open = '';
  let isOpen = false;
  for await (const piece of pieces) {
    open = isOpen ? `${open}\n${piece}` : piece;
    isOpen = hasOpenQuote(piece) !== isOpen;
    if (isOpen && open.length <= longestLine) continue;
    yield open;
    isOpen = false;
  }
  if (isOpen) yield open;
}

function hasOpenQuote(text: string): boolean {
  let open = false;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) open = !open;
  return open;
}
