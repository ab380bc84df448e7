import { shown } from '../../gpu/shown.js';
import { ConfigError, DataError } from '../errors.js';
import { blocks, everyRow, inPieces, runsOf } from './blocks.js';
import { checkNormalization, checkValues, isUsable } from './check.js';
import {
  mnistNormalization,
  type Normalization,
  noNormalization,
  type ScalarNormalization,
} from './dataset.js';
import { type HostKind, hostKinds, isHostKind, isOnHost } from './normalization/index.js';
import { type FittedRows, smallestNormalF32 } from './normalization/kind.js';
import type { Dataset, RowSource, Rows } from './rows.js';
import { storedRows, valueBytes } from './source.js';
import { type StoredRows, unitOf } from './stored.js';

/** Two numbers that are fitted to rows: zero mean and unit variance, or a mean square of 1. */
const scalarKinds = ['unit', 'rms'] as const;

const goldenRatio = (1 + Math.sqrt(5)) / 2;

/** What is fitted to rows: see `fitNormalization`. */
export type FittedKind = (typeof scalarKinds)[number] | HostKind;

/** A normalisation, or the kind of one that is fitted to rows. */
export type NormalizeOption = Normalization | FittedKind;

const fittedKinds: readonly FittedKind[] = [...scalarKinds, ...(Object.keys(hostKinds) as HostKind[])];

/** The option's values that are names, in words. */
export const normalizeNames = ['mnist', ...fittedKinds, 'none'].join(', ');

/** Reads `mnist`, `none`, the name of a kind or `MEAN,STD`. @throws ConfigError. */
export function parseNormalize(text: string): NormalizeOption {
  if (text === 'mnist') return mnistNormalization;
  if (text === 'none') return noNormalization;
  const kind = fittedKinds.find((name) => name === text);
  if (kind !== undefined) return kind;
  const number = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;
  const parts = text.split(',');
  if (parts.length !== 2 || !parts.every((part) => number.test(part))) {
    throw new ConfigError(
      `normalize is "${text}"; expected ${normalizeNames} or two numbers MEAN,STD such as 0.5,0.25.`,
    );
  }
  const [mean, std] = parts.map(Number);
  if (!isUsable({ mean, std })) {
    throw new ConfigError(
      `normalize is "${text}"; expected MEAN,STD as finite numbers in the range of f32, with STD above 0.`,
    );
  }
  return { mean, std };
}

/** Rows whose normalisation is not known yet. */
export type Unnormalized = Omit<Dataset, 'normalization'> | Omit<RowSource, 'normalization'>;

/**
 * The normalisation of rows: `option`, or by default `mnist` for 8-bit values and `none` for floats. What is fitted to the
 * rows is computed in double, and they are read once. `unit` is their mean and standard deviation over all values, `rms` scales them to a mean square of 1, so that
 * the mean of |x|² is `in_dims`; for the others see `normalization/`.
 * @param onNote is told what the user should know, in a sentence.
 * @throws ConfigError if the option is invalid, or impossible for rows so wide; DataError if it is impossible for these
 *   values, or one is not finite, and whatever the source throws.
 */
export async function fitNormalization(
  option: NormalizeOption | undefined,
  rows: Unnormalized,
  onNote?: (sentence: string) => void,
): Promise<Normalization> {
  const source = storedRows({ ...(rows as Rows), normalization: noNormalization });
  if (typeof option !== 'string') {
    if (option !== undefined && isOnHost(option)) {
      checkNormalization(option, source.in_dims, source.name);
    }
    return fixedNormalization(option, source.type);
  }
  const { name, in_dims } = source;
  const rowBytes = in_dims * valueBytes[source.type];
  const read = async function* (runs: Iterable<readonly [number, number]>) {
    for await (const { values } of blocks(source, inPieces(runs, rowBytes), [])) yield values;
  };
  const fitted: FittedRows = {
    name,
    rows: source.rows,
    in_dims,
    unit: source.type === 'u8' ? 1 / 255 : 1,
    all: () => read(everyRow(source)),
    sample: (most) => read(runsOf(spread(source.rows, most))),
    note: (sentence) => onNote?.(sentence),
  };
  if (isHostKind(option)) {
    return hostKinds[option].fit(fitted);
  }
  if (option === 'unit') {
    if ('data' in rows) {
      checkValues(rows.data, source);
      return unitNormalization(rows.data, name);
    }
    return unitOfBlocks(fitted);
  }
  if (option === 'rms') {
    let squares = 0;
    for await (const values of fitted.all()) squares = squaresOf(values, 0, squares);
    return rms(squares / (source.rows * in_dims), fitted.unit, name);
  }
  throw new ConfigError(
    `normalize is ${shown(option)}; expected a normalization, or one of ${fittedKinds.join(', ')}. parseNormalize reads others.`,
  );
}

/**
 * As `fitNormalization`, at once, for what needs no more than two numbers of rows in memory.
 * @throws ConfigError also for kinds that have to be fitted by `fitNormalization`.
 */
export function resolveNormalization(
  option: NormalizeOption | undefined,
  data: Uint8Array | Float32Array,
  name: string,
): Normalization {
  if (option === 'unit') return unitNormalization(data, name);
  if (typeof option === 'string') {
    throw new ConfigError(
      `normalize is ${option}, which takes time to fit: use what fitNormalization("${option}", rows) resolves to.`,
    );
  }
  return fixedNormalization(option, data instanceof Uint8Array ? 'u8' : 'f32');
}

/**
 * A normalisation that needs no rows: the option or, by default, `mnist` for 8-bit values and `none` for floats.
 * @throws ConfigError.
 */
export function fixedNormalization(
  option: Normalization | undefined,
  type: RowSource['type'],
): Normalization {
  if (option !== undefined && !isOnHost(option) && !isUsable(option)) {
    throw new ConfigError(
      `normalize is ${shown(option)}; expected finite numbers mean and std in the range of f32, with std above 0.`,
    );
  }
  return option ?? (type === 'u8' ? mnistNormalization : noNormalization);
}

/**
 * Mean and population standard deviation over all values, in float64; 8-bit values are divided by 255.
 * @throws DataError for constant data.
 */
export function unitNormalization(data: StoredRows, name: string): ScalarNormalization {
  const { mean, squares } = spreadOf(data);
  return unit(mean, squares / data.length, unitOf(data), name);
}

/** The same of rows that are read once. */
async function unitOfBlocks(rows: FittedRows): Promise<ScalarNormalization> {
  let [count, mean, squares] = [0, 0, 0];
  for await (const values of rows.all()) {
    const some = spreadOf(values);
    const all = count + values.length;
    const apart = some.mean - mean;
    squares += some.squares + ((apart ** 2 * count) / all) * values.length;
    mean += (apart * values.length) / all;
    count = all;
  }
  return unit(mean, squares / count, rows.unit, rows.name);
}

/** The mean of values, and the sum of their squared distances from it. */
function spreadOf(data: StoredRows): { readonly mean: number; readonly squares: number } {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i];
  const mean = sum / data.length;
  return { mean, squares: squaresOf(data, mean, 0) };
}

/** The sum of squared distances from the mean, going on from another sum. */
function squaresOf(values: StoredRows, mean: number, squares: number): number {
  let all = squares;
  for (let i = 0; i < values.length; i++) all += (values[i] - mean) ** 2;
  return all;
}

function unit(mean: number, variance: number, scale: number, name: string): ScalarNormalization {
  const std = Math.sqrt(variance) * scale;
  if (std < smallestNormalF32) {
    throw new DataError(
      `All values of ${name} are ${mean}, or nearly so, and cannot be scaled to unit variance. ` +
        'Use normalize none, or data that varies.',
    );
  }
  return { mean: mean * scale, std };
}

function rms(meanSquare: number, scale: number, name: string): ScalarNormalization {
  const std = Math.sqrt(meanSquare) * scale;
  if (std < smallestNormalF32) {
    throw new DataError(
      `All values of ${name} are 0, or nearly so, and cannot be scaled to a mean square of 1. Use normalize none, or other data.`,
    );
  }
  return { mean: 0, std };
}

/**
 * So many of the places of rows, or all if there are fewer: one in each of as many equal parts. Where in its part it lies goes
 * by multiples of the golden ratio, so that rows that repeat at equal distances, such as the first of each text, are as frequent as in all.
 */
function spread(rows: number, most: number): number[] {
  const count = Math.min(rows, most);
  return Array.from({ length: count }, (_, i) => {
    const [first, end] = [i, i + 1].map((part) => Math.floor((part * rows) / count));
    return first + Math.floor(((i * goldenRatio) % 1) * (end - first));
  });
}
