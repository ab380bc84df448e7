import type { Workgroups } from '../gpu/program.js';
import { padded, type Tensor } from '../gpu/tensor.js';

/** The `matrix` that `elementwise.wgsl` and its like bind: rows, vec4s a row, and columns without padding. */
export function matrixSizes({ rows, columns }: Tensor): Uint32Array<ArrayBuffer> {
  return new Uint32Array([padded(rows), padded(columns) / 4, columns]);
}

/** Workgroups for `elementwise.wgsl`: an invocation takes a vec4 of columns over 8 rows. */
export function elementwiseGrid({ rows, columns }: Tensor): Workgroups {
  return [Math.ceil(padded(columns) / 4 / 32), Math.ceil(padded(rows) / 8)];
}
