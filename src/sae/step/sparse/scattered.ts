import { Image } from '../../../gpu/image.js';
import type { Resource } from '../../../gpu/program.js';
import type { Tensor } from '../../../gpu/tensor.js';
import type { StepBuild } from '../build.js';
import { inSubgroups } from './lists.js';

/** How a kernel reads rows of a matrix that do not lie together. */
export interface ScatteredRows {
  /** The WGSL file that provides the access. */
  readonly file: string;
  readonly resource: Resource;
  /** Its fields `line_bits` and `strip_bits`. */
  readonly bits: readonly [line: number, strip: number];
}

/**
 * Appends what the kernels after it need to read rows of a matrix as it is then: on Mesa's software adapter a copy to an image,
 * which stays as long as no other matrix of the same shape is copied.
 * @param access which pair of files in `shaders/sparse`.
 */
export function scatteredRows(
  build: StepBuild,
  access: 'decoder' | 'row_values',
  matrix: Tensor,
): ScatteredRows {
  const { gpu } = matrix;
  const { rows, columns } = matrix;
  if (!inSubgroups(gpu) || !Image.fits(gpu, [rows, columns], 'along rows')) {
    return { file: `sparse/buffer_${access}.wgsl`, resource: matrix, bits: [0, 0] };
  }
  const image = build.program.copyToImage(matrix, 'along rows');
  return { file: `sparse/image_${access}.wgsl`, resource: image, bits: image.bits };
}
