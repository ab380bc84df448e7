import { mnistNormalization, type Normalization, noNormalization } from '../dataset.js';
import { ConfigError, DataError } from '../errors.js';

/** A normalisation, or `unit`: the one that gives the data at hand zero mean and unit variance. */
export type NormalizeOption = Normalization | 'unit';

const smallestNormalF32 = 2 ** -126;

/** Reads `mnist`, `unit`, `none` or `MEAN,STD`. Throws ConfigError. */
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
  // The kernels see both as f32: what is 0 or infinite there is no use here.
  if (!Number.isFinite(Math.fround(mean)) || !Number.isFinite(Math.fround(std)) || std < smallestNormalF32) {
    throw new ConfigError(
      `normalize is "${text}"; expected MEAN,STD as finite numbers in the range of f32, with STD above 0.`,
    );
  }
  return { mean, std };
}

/** The normalisation of `data`: `option`, or where none is given `mnist` for 8-bit values and `none` for floats. */
export function resolveNormalization(
  option: NormalizeOption | undefined,
  data: Uint8Array | Float32Array,
  name: string,
): Normalization {
  if (option === 'unit') return unitNormalization(data, name);
  return option ?? (data instanceof Uint8Array ? mnistNormalization : noNormalization);
}

/**
 * Mean and population standard deviation over all values, in float64, 8-bit ones divided by 255. Throws DataError for
 * constant data.
 */
export function unitNormalization(data: Uint8Array | Float32Array, name: string): Normalization {
  const scale = data instanceof Uint8Array ? 1 / 255 : 1;
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i];
  const mean = sum / data.length;
  let squares = 0;
  for (let i = 0; i < data.length; i++) squares += (data[i] - mean) ** 2;
  const std = Math.sqrt(squares / data.length) * scale;
  if (std < smallestNormalF32) {
    throw new DataError(
      `All values of ${name} are ${data[0]}, or nearly so, and cannot be scaled to unit variance. ` +
        'Use normalize none, or data that varies.',
    );
  }
  return { mean: mean * scale, std };
}
