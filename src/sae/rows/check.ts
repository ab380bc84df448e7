import { isShared } from '../../gpu/device.js';
import { shown, typeOf } from '../../gpu/shown.js';
import { DataError } from '../errors.js';
import { grouped, product } from './formats/array.js';
import { isImageShape } from './formats/shape.js';
import { isOnHost, isUsableOnHost, normalizationName } from './normalization/index.js';
import { smallestNormalF32 } from './normalization/kind.js';
import type {
  Dataset,
  ImageShape,
  Normalization,
  RowSource,
  ScalarNormalization,
  StoredRows,
} from './rows.js';
import { notFinite } from './values.js';

// What a program passes in is checked before it is used: with wrong sizes or types training would silently use garbage,
// or the device would reject all commands from then on.

const largestF32 = (2 - 2 ** -23) * 2 ** 127;

/** Whether kernels can normalise with it: both numbers are f32 there. */
export function isUsable(normalization: ScalarNormalization): boolean {
  const { mean, std } = normalization ?? {};
  const finite = [mean, std].every(
    (value) => typeof value === 'number' && Number.isFinite(Math.fround(value)),
  );
  return finite && std >= smallestNormalF32;
}

/** @throws DataError if the description of rows is wrong or unusable. Their values are checked when they are read. */
export function checkRows(given: Dataset | RowSource): void {
  if (typeof given !== 'object' || given === null) {
    throw new DataError(
      `Rows are ${shown(given)}; expected a data set, { name, rows, in_dims, data, normalization }, or a source of rows.`,
    );
  }
  const { rows, in_dims, normalization } = given;
  const name = nameOf(given);
  for (const [what, value] of [
    ['rows', rows],
    ['values a row (in_dims)', in_dims],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new DataError(`${name} has ${shown(value)} ${what}; expected a whole number of at least 1.`);
    }
  }
  checkNormalization(normalization, in_dims, name);
  const fault = faultOfLabels(given.labels, rows);
  if (fault !== undefined) {
    throw new DataError(
      `The labels of ${name} are ${fault}; expected an array of ${grouped(rows)} texts, one for each row.`,
    );
  }
  if ('read' in given) {
    if (given.type !== 'u8' && given.type !== 'f32') {
      throw new DataError(`${name} has values of type ${given.type}; expected u8 or f32.`);
    }
    return;
  }
  checkStored(given.data, `The data of ${name} is`);
  const { length } = given.data;
  if (length !== rows * in_dims) {
    throw new DataError(
      `The data of ${name} has ${grouped(length)} values; expected ${grouped(rows)} rows of ${grouped(in_dims)} values, so ` +
        `${grouped(rows * in_dims)}.`,
    );
  }
  const shape: unknown = given.image_shape;
  if (shape !== undefined && !isShape(shape, in_dims)) {
    throw new DataError(
      `The image_shape of ${name} is ${shown(shape)}; expected [height, width] or [height, width, 3] of ${in_dims} values.`,
    );
  }
}

/**
 * @param of whose it is, in messages.
 * @throws DataError if rows of `in_dims` values cannot be normalised with it.
 */
export function checkNormalization(normalization: Normalization, in_dims: number, of: string): void {
  if (typeof normalization === 'object' && normalization !== null && isOnHost(normalization)) {
    if (!isUsableOnHost(normalization, in_dims)) {
      throw new DataError(
        `The normalization of ${of} is ${shown(normalization)}; expected one that was fitted to rows of ${in_dims} values.`,
      );
    }
  } else if (!isUsable(normalization)) {
    throw new DataError(
      `The normalization of ${of} is ${shown(normalization)}; expected finite numbers mean and std in the range of ` +
        'f32, with std above 0, such as { mean: 0, std: 1 }.',
    );
  }
}

function faultOfLabels(labels: unknown, rows: number): string | undefined {
  if (labels === undefined) return undefined;
  if (!Array.isArray(labels)) return `of type ${typeOf(labels)}`;
  if (labels.length !== rows) return grouped(labels.length);
  const wrong = labels.findIndex((label: unknown) => typeof label !== 'string');
  return wrong < 0 ? undefined : `${shown(labels[wrong])} for row ${wrong} (from 0)`;
}

/** Whether it is that of images of so many values. */
export function isShape(shape: unknown, values: number): shape is ImageShape {
  return isImageShape(shape) && product(shape) === values;
}

/**
 * @throws DataError if what a source returned is not the rows from `first` up to, not including, `end`, or is not
 *   finite.
 */
export function checkRead(values: StoredRows, source: RowSource, first: number, end: number): void {
  const name = nameOf(source);
  const what = `rows ${first} to ${end - 1} of ${name}`;
  checkStored(values, `What was read for ${what} is`);
  const type = values instanceof Uint8Array ? 'u8' : 'f32';
  const expected = (end - first) * source.in_dims;
  if (type !== source.type || values.length !== expected) {
    throw new DataError(
      `What was read for ${what} are ${grouped(values.length)} ${type} values; expected ${grouped(expected)} ${source.type} values.`,
    );
  }
  checkValues(values, source, first);
}

/** What the host normalises is checked afterwards. */
const asTheyAre: ScalarNormalization = { mean: 0, std: 1 };

/**
 * @param values rows as they are stored. @param first the number of the first row in messages.
 * @throws DataError if a value is not finite, or is not when it is normalised.
 */
export function checkValues(
  values: StoredRows,
  rows: Pick<RowSource, 'name' | 'in_dims' | 'normalization'>,
  first = 0,
): void {
  const { mean, std } = isOnHost(rows.normalization) ? asTheyAre : rows.normalization;
  const bytes = values instanceof Uint8Array;
  const reach = largestF32 * Math.min(1, std);
  const low = Math.max(mean - reach, -largestF32);
  const high = Math.min(mean + reach, largestF32);
  if (bytes) {
    if (low > 0 || high < 1) {
      throw new DataError(
        `The normalization of ${nameOf(rows)}, ${shown(rows.normalization)}, takes its values beyond the range of f32.`,
      );
    }
    return;
  }
  if (low === -largestF32 && high === largestF32 && notFinite(values) < 0) {
    return;
  }
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (!(value >= low && value <= high)) {
      const what = Number.isFinite(value)
        ? `${value}, which its normalization takes beyond the range of f32,`
        : String(value);
      throw new DataError(
        `${nameOf(rows)} has ${what} at row ${first + Math.floor(i / rows.in_dims)}, column ${i % rows.in_dims} (both from 0); ` +
          'expected finite numbers. Replace it or leave the row out.',
      );
    }
  }
}

/**
 * @param values what the host made of rows. @param stored these rows. @param first the number of the first one.
 * @throws DataError if a value is not finite.
 */
export function checkNormalized(
  values: Float32Array,
  stored: StoredRows,
  rows: Pick<RowSource, 'name' | 'in_dims' | 'normalization'>,
  first = 0,
): void {
  const wrong = notFinite(values);
  if (wrong >= 0) {
    throw new DataError(
      `${nameOf(rows)} has ${stored[wrong]}, which normalize ${normalizationName(rows.normalization)} takes beyond the range of f32, at row ` +
        `${first + Math.floor(wrong / rows.in_dims)}, column ${wrong % rows.in_dims} (both from 0). Scale the rows down.`,
    );
  }
}

function nameOf({ name }: { readonly name: string }): string {
  return typeof name === 'string' && name !== '' ? name : 'the data set';
}

/** @param what the beginning of the sentence. */
function checkStored(data: unknown, what: string): void {
  if (data instanceof Uint8Array || data instanceof Float32Array) {
    if (isShared(data)) {
      throw new DataError(
        `${what} in shared memory, which not every WebGPU can read; expected an array of its own. data.slice() copies it.`,
      );
    }
    return;
  }
  throw new DataError(
    `${what} of type ${typeOf(data)}; expected a Uint8Array or a Float32Array, row-major.${adviceFor(data)}`,
  );
}

function adviceFor(data: unknown): string {
  if (data instanceof Uint8ClampedArray) {
    return (
      ' new Uint8Array(data.buffer, data.byteOffset, data.length) sees the same bytes; imagesDataset makes rows of the RGBA ' +
      'pixels of an ImageData.'
    );
  }
  if (Array.isArray(data) || (ArrayBuffer.isView(data) && !(data instanceof DataView))) {
    return ' Float32Array.from(data, Number) makes floats of it.';
  }
  if (data instanceof ArrayBuffer) {
    return ' new Float32Array(data) sees it as floats, new Uint8Array(data) as 8-bit values.';
  }
  return '';
}
