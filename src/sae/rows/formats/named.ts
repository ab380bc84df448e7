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
): Note[] {
  return arrays.length > 1 && name !== wanted
    ? [{ about: 'array', sentence: `Of the ${arrays.length} arrays of ${file}, ${name} is read.` }]
    : [];
}
