import { Image } from '../../../gpu/image.js';
import type { Bindings } from '../../../gpu/program.js';
import type { Tensor } from '../../../gpu/tensor.js';
import type { StepBuild } from '../build.js';
import { inSubgroups } from './lists.js';

/** How a kernel reads rows of a matrix that do not lie together. */
export interface ScatteredRows {
  /** The WGSL file that provides the access. */
  readonly file: string;
  readonly bindings: Bindings;
}

/**
 * Appends what the kernels after it need to read rows of a matrix as it is then: on Mesa's software adapter a copy to an image,
 * which stays as long as no other matrix of the same shape is copied.
 * @param variable what the kernels call it, and the files that read it.
 */
export function scatteredRows(
  build: StepBuild,
  variable: 'decoder_weights' | 'row_values',
  matrix: Tensor,
): ScatteredRows {
  const { gpu } = matrix;
  const { rows, columns } = matrix;
  if (!inSubgroups(gpu) || !Image.fits(gpu, [rows, columns], 'along rows')) {
    return { file: `sparse/buffer_${variable}.wgsl`, bindings: { [variable]: matrix } };
  }
  const image = build.program.copyToImage(matrix, 'along rows');
  return { file: `sparse/image_${variable}.wgsl`, bindings: image.bindings(variable) };
}
