import { shown } from '../../gpu/shown.js';
import { ConfigError, DataError } from '../errors.js';
import { blocks, everyRow } from './blocks.js';
import { isUsable } from './check.js';
import { mnistNormalization, type Normalization, noNormalization } from './dataset.js';
import type { RowSource } from './rows.js';

/** A normalisation, or `unit`: the one that gives these data zero mean and unit variance. */
export type NormalizeOption = Normalization | 'unit';

const smallestNormalF32 = 2 ** -126;

/** Reads `mnist`, `unit`, `none` or `MEAN,STD`. @throws ConfigError. */
export function parseNormalize(text: string): NormalizeOption {
  if (text === 'mnist') return mnistNormalization;
  if (text === 'none') return noNormalization;
  if (text === 'unit') return 'unit';
  const number = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;
  const parts = text.split(',');
  if (parts.length !== 2 || !parts.every((part) => number.test(part))) {
    throw new ConfigError(
      `normalize is "${text}"; expected mnist, unit, none or two numbers MEAN,STD such as 0.5,0.25.`,
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

/**
 * The normalisation of `data`: `option`, or by default `mnist` for 8-bit values and `none` for floats.
 * @throws ConfigError if it is invalid; DataError if `unit` is impossible for these values.
 */
export function resolveNormalization(
  option: NormalizeOption | undefined,
  data: Uint8Array | Float32Array,
  name: string,
): Normalization {
  if (option === 'unit') return unitNormalization(data, name);
  return fixedNormalization(option, data instanceof Uint8Array ? 'u8' : 'f32');
}

/** The same for rows that are read in blocks; `unit` reads all of them once. */
export async function resolveNormalizationOf(
  option: NormalizeOption | undefined,
  source: RowSource,
): Promise<Normalization> {
  if (option !== 'unit') return fixedNormalization(option, source.type);
  let [count, mean, squares] = [0, 0, 0];
  for await (const { values } of blocks(source, everyRow(source))) {
    const some = spreadOf(values);
    const all = count + values.length;
    const apart = some.mean - mean;
    squares += some.squares + ((apart ** 2 * count) / all) * values.length;
    mean += (apart * values.length) / all;
    count = all;
  }
  return unitOf(mean, squares / count, source.type, source.name);
}

/** A normalisation that needs no rows: the option or, by default, `mnist` for 8-bit values and `none` for floats. @throws ConfigError. */
export function fixedNormalization(option: Normalization | undefined, type: 'u8' | 'f32'): Normalization {
  if (option !== undefined && !isUsable(option)) {
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
export function unitNormalization(data: Uint8Array | Float32Array, name: string): Normalization {
  const { mean, squares } = spreadOf(data);
  return unitOf(mean, squares / data.length, data instanceof Uint8Array ? 'u8' : 'f32', name);
}

/** The mean of values, and the sum of their squared distances from it. */
function spreadOf(data: Uint8Array | Float32Array): { readonly mean: number; readonly squares: number } {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i];
  const mean = sum / data.length;
  let squares = 0;
  for (let i = 0; i < data.length; i++) squares += (data[i] - mean) ** 2;
  return { mean, squares };
}

function unitOf(mean: number, variance: number, type: 'u8' | 'f32', name: string): Normalization {
  const scale = type === 'u8' ? 1 / 255 : 1;
  const std = Math.sqrt(variance) * scale;
  if (std < smallestNormalF32) {
    throw new DataError(
      `All values of ${name} are ${mean}, or nearly so, and cannot be scaled to unit variance. ` +
        'Use normalize none, or data that varies.',
    );
  }
  return { mean: mean * scale, std };
}
