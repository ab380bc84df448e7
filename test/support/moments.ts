import { padded } from '../../src/gpu/tensor.js';

/** Moments of an update rule as they lie on the device: a padded vec4 of each in turn. */
export function interleaved(
  shape: readonly number[],
  moments: readonly Float32Array[],
): Float32Array<ArrayBuffer> {
  const rows = shape.length === 1 ? 1 : padded(shape[0]);
  const out = new Float32Array(moments.length * rows * padded(shape[shape.length - 1]));
  moments.forEach((values, which) => {
    values.forEach((value, i) => {
      out[placeOf(i, shape, which, moments.length)] = value;
    });
  });
  return out;
}

/** The `count` moments of a buffer that is given whole, padding and all. */
export function deinterleaved(
  shape: readonly number[],
  buffer: Float32Array,
  count: number,
): Float32Array<ArrayBuffer>[] {
  const length = shape.reduce((product, side) => product * side, 1);
  return Array.from({ length: count }, (_, which) =>
    Float32Array.from({ length }, (_value, i) => buffer[placeOf(i, shape, which, count)]),
  );
}

function placeOf(i: number, shape: readonly number[], which: number, count: number): number {
  const columns = shape[shape.length - 1];
  const at = Math.floor(i / columns) * padded(columns) + (i % columns);
  return (Math.floor(at / 4) * count + which) * 4 + (at % 4);
}
