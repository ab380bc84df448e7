import { takeRows } from '../../rows/blocks.js';
import { type Dataset, type ImageShape, normalizedRows } from '../../rows/dataset.js';
import type { Rows } from '../../rows/source.js';
import { type GreyRange, greys, inputRange, shownRows } from '../pictures.js';
import { none, valuesOfRow } from './layout.js';
import type { NamedArray } from './pack.js';
import { type EncodedPictures, type EncodeImage, encodePictures } from './pictures.js';
import { largestValues } from './values.js';

/** Rows that are read at a time. */
const rowsAtATime = 1024;
/** Bytes of values that are listed of rows. */
const valueBytes = 4e6;

/** Characters of the labels of all of them. */
const labelCharacters = 1e7;

/** The rows that are examples of some latent. */
export interface ExampleRows {
  /** The place of a row in what follows. */
  readonly placeOf: (row: number) => number;
  readonly arrays: NamedArray[];
  readonly labels: readonly string[] | undefined;
  readonly pictures: EncodedPictures | undefined;
}

/**
 * Reads the rows that are examples.
 * @param examples numbers of rows, some of them `none`.
 * @param most bytes of pictures.
 */
export async function exampleRows(
  rows: Rows,
  examples: readonly Uint32Array[],
  image_shape: ImageShape | undefined,
  {
    encodeImage,
    signal,
    progress,
  }: {
    readonly encodeImage: EncodeImage;
    readonly signal?: AbortSignal;
    readonly progress?: (what: string, done: number, of: number) => void;
  },
  most: number,
): Promise<ExampleRows> {
  const numbers = distinct(examples, rows.rows);
  const places = new Map([...numbers].map((row, place) => [row, place]));
  const take = (first: number, end: number) => {
    signal?.throwIfAborted();
    progress?.('pictures', first, numbers.length);
    return takeRows(rows, [...numbers.subarray(first, end)]);
  };
  const arrays: NamedArray[] = [
    { name: 'row_numbers', type: 'u32', shape: [numbers.length], values: numbers },
  ];
  let pictures: EncodedPictures | undefined;
  if (image_shape && numbers.length > 0) {
    // Of floats whose range is not known, the first examples tell it.
    const range = inputRange(await take(0, Math.min(numbers.length, rowsAtATime)));
    const read = async (first: number, end: number) => bytesOf(await take(first, end), range);
    pictures = await encodePictures(numbers.length, image_shape, read, encodeImage, most);
  } else if (numbers.length > 0) {
    const count = Math.min(
      valuesOfRow,
      rows.in_dims,
      Math.max(1, Math.floor(valueBytes / (8 * numbers.length))),
    );
    const parts: NamedArray[][] = [];
    for (let first = 0; first < numbers.length; first += rowsAtATime) {
      const some = await take(first, Math.min(numbers.length, first + rowsAtATime));
      parts.push(largestValues('row', normalizedRows(some), rows.in_dims, count));
    }
    arrays.push(...joined(parts, numbers.length, count));
  }
  const { labels } = rows;
  return {
    placeOf: (row) => places.get(row)!,
    arrays,
    labels:
      labels &&
      cutLabels(
        [...numbers].map((row) => labels[row]),
        labelCharacters,
      ),
    pictures,
  };
}

/** Labels, the longest of them cut so that all have about `most` characters in all. */
export function cutLabels(labels: readonly string[], most: number): readonly string[] {
  let left = most;
  const lengths = Float64Array.from(labels, ({ length }) => length).sort();
  for (const [i, length] of lengths.entries()) {
    const share = Math.floor(left / (lengths.length - i));
    // A label that ends within a character is shown with a sign for that.
    if (length > share)
      return labels.map((label) => (label.length > share ? `${label.slice(0, share)}…` : label));
    left -= length;
  }
  return labels;
}

/** Different rows, in ascending order. */
function distinct(examples: readonly Uint32Array[], rows: number): Uint32Array<ArrayBuffer> {
  const chosen = new Uint8Array(rows);
  for (const some of examples) for (const row of some) if (row !== none) chosen[row] = 1;
  const numbers = new Uint32Array(chosen.reduce((sum, one) => sum + one, 0));
  let count = 0;
  for (let row = 0; row < rows; row++) if (chosen[row]) numbers[count++] = row;
  return numbers;
}

function bytesOf(dataset: Dataset, range: GreyRange): Uint8Array {
  const { data } = dataset;
  return data instanceof Uint8Array ? data : greys(shownRows(dataset), range);
}

/** Parts of arrays, one after another. */
function joined(parts: readonly (readonly NamedArray[])[], rows: number, columns: number): NamedArray[] {
  return parts[0].map(({ name, type }, i) => {
    const values = type === 'u32' ? new Uint32Array(rows * columns) : new Float32Array(rows * columns);
    let at = 0;
    for (const part of parts) {
      values.set(part[i].values, at);
      at += part[i].values.length;
    }
    return { name, type, shape: [rows, columns], values };
  });
}
