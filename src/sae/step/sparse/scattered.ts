import { Image } from '../../../gpu/image.js';
import type { Bindings } from '../../../gpu/program.js';
import type { Tensor } from '../../../gpu/tensor.js';
import type { StepBuild } from '../build.js';
import { inSubgroups } from './lists.js';

/** How a kernel reads rows of a matrix that do not lie together. */
export interface ScatteredRows {
  /** WGSL files that provide `scattered_row_at`. */
  readonly files: readonly string[];
  readonly bindings: Bindings;
}

/**
 * Appends what the kernels after it need to read rows of a matrix as it is then: on Mesa's software adapter a copy to an image,
 * which stays as long as no other matrix of the same shape is copied.
 */
export function scatteredRows({ program }: StepBuild, matrix: Tensor): ScatteredRows {
  const { gpu, rows, columns } = matrix;
  if (!inSubgroups(gpu) || !Image.fits(gpu, [rows, columns], 'along rows')) {
    return { files: ['sparse/buffer_rows.wgsl'], bindings: { scattered_rows: matrix } };
  }
  const image = program.copyToImage(matrix, 'along rows');
  return {
    files: ['gemm/image.wgsl', 'sparse/image_rows.wgsl'],
    bindings: image.bindings('scattered_rows'),
  };
}
