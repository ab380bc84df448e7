import { DataError } from '../../errors.js';
import { elementNames } from './array.js';
import type { Note } from './file.js';

/** An array of a file that names its arrays. */
export interface NamedArray {
  readonly name: string;
  readonly shape: readonly number[];
  /** Its type as the file calls it. */
  readonly type: string;
  /** Whether values of that type can be read. */
  readonly readable: boolean;
  /** Whether they are floats. */
  readonly float: boolean;
}

/** Names in a message, at most. */
const mostNamed = 20;

/**
 * Picks the array that holds the rows: the one of that name, or the only one that matches a pattern with * and ?. If none
 * is named, the only array of floats of two dimensions or more or, if there is none of floats, of any type.
 * @throws DataError that lists what is there.
 */
export function pickArray<T extends NamedArray>(
  arrays: readonly T[],
  wanted: string | undefined,
  file: string,
): T {
  const picked = wanted === undefined ? likely(arrays) : named(arrays, wanted);
  if (picked.length !== 1) {
    const all = picked.length > 1 ? picked : arrays;
    const what =
      picked.length > 1
        ? `${picked.length} arrays ${wanted === undefined ? 'that may be rows' : `that match ${wanted}`}`
        : wanted === undefined
          ? `no array of ${elementNames} of two dimensions or more`
          : `no array ${wanted}`;
    throw new DataError(`${file} has ${what}; ${listed(all)}. Name one with tensor, such as --tensor NAME.`);
  }
  const [one] = picked;
  if (!one.readable) {
    throw new DataError(
      `${file} holds the array ${one.name} of type ${one.type}; expected ${elementNames}. Convert it, or name another with tensor.`,
    );
  }
  return one;
}

function likely<T extends NamedArray>(arrays: readonly T[]): T[] {
  const possible = arrays.filter(({ readable, shape }) => readable && shape.length >= 2);
  const floats = possible.filter(({ float }) => float);
  return floats.length > 0 ? floats : possible;
}

function named<T extends NamedArray>(arrays: readonly T[], wanted: string): T[] {
  const same = arrays.filter(({ name }) => name === wanted);
  if (same.length > 0) return same;
  const quoted = wanted.replace(/[\\^$.|+()[\]{}]/g, '\\$&');
  const pattern = new RegExp(`^${quoted.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's');
  return arrays.filter(({ name }) => pattern.test(name));
}

function listed(arrays: readonly NamedArray[]): string {
  if (arrays.length === 0) return 'it has none at all';
  const some = arrays
    .slice(0, mostNamed)
    .map(({ name, type, shape }) => `${name} (${type} [${shape.join(', ')}])`);
  const more = arrays.length - some.length;
  return `there are ${some.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** What was picked where the file has others and it was not asked for by its name. */
export function pickedNote(
  arrays: readonly NamedArray[],
  { name }: NamedArray,
  wanted: string | undefined,
  file: string,
  what = 'arrays',
): Note[] {
  return arrays.length > 1 && name !== wanted
    ? [{ about: 'array', sentence: `Of the ${arrays.length} ${what} of ${file}, ${name} is read.` }]
    : [];
}

/**
 * Picks the columns of a table that hold the rows: one of lists or, if there is none, all columns of numbers, a value of
 * a row each. Those that are named by `wanted`, or all; of all, those of floats if there are any.
 * @returns also what they are called in messages.
 * @throws DataError that lists what is there.
 */
export function pickColumns<T extends NamedArray>(
  columns: readonly T[],
  wanted: string | undefined,
  file: string,
): { readonly picked: readonly T[]; readonly source: string; readonly notes: readonly Note[] } {
  const asked = wanted === undefined ? columns : named(columns, wanted);
  const unread = asked.find(({ readable }) => !readable);
  if (wanted !== undefined && asked.length === 1 && unread) {
    throw new DataError(
      `${file} has the column ${unread.name} of type ${unread.type}; expected numbers, or lists of them, of ${elementNames}. ` +
        'Convert it, or name another with column.',
    );
  }
  const possible = asked.filter(({ readable }) => readable);
  const floats = possible.filter(({ float }) => float);
  const some = floats.length > 0 ? floats : possible;
  const lists = some.filter(({ shape }) => shape.length > 1);
  const picked = lists.length > 0 ? lists : some;
  if (picked.length === 0 || lists.length > 1) {
    const what =
      lists.length > 1
        ? `${lists.length} columns of lists${wanted === undefined ? ' that may be rows' : ` that match ${wanted}`}`
        : wanted === undefined || asked.length > 0
          ? `no column of numbers or of lists of them, of ${elementNames}`
          : `no column ${wanted}`;
    throw new DataError(
      `${file} has ${what}; ${listed(lists.length > 1 ? lists : columns)}. Name one with column, such as --column NAME.`,
    );
  }
  const others = columns.filter((column) => !picked.includes(column));
  const source = columns.length > 1 && picked.length === 1 ? `${file}, column ${picked[0].name},` : file;
  if (lists.length === 1) {
    return { picked, source, notes: pickedNote(columns, lists[0], wanted, file, 'columns') };
  }
  const are =
    picked.length === 1
      ? 'a row has the value of its column'
      : `a row has the values of its ${picked.length} columns`;
  const not = others.length > 0 ? `; ${names(others)} ${others.length === 1 ? 'is' : 'are'} not read` : '';
  return {
    picked,
    source,
    notes: [{ about: 'array', sentence: `In ${file} ${are} ${names(picked)}${not}.` }],
  };
}

function names(columns: readonly NamedArray[]): string {
  const [first, second, ...others] = columns.map(({ name }) => name);
  if (others.length > 2) return `${first}, ${second} to ${others.at(-1)}`;
  return [first, second, ...others].filter((name) => name !== undefined).join(', ');
}
