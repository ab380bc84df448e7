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
export function scatteredRows(build: StepBuild, matrix: Tensor): ScatteredRows {
  return read(build, matrix, 'rows', 'scattered_rows');
}

/** Appends the same for the lists by latents, as they are then. */
export function latentEntries(build: StepBuild): ScatteredRows {
  return read(build, build.tensor('latent_entries'), 'entries', 'latent_entries');
}

/** Appends the same for the lists by rows, to a kernel that also stores in them. */
export function rowEntries(build: StepBuild): ScatteredRows {
  return read(build, build.tensor('entries'), 'row_entries', 'row_entries');
}

/** What a kernel needs to read both. */
export function together(one: ScatteredRows, other: ScatteredRows): ScatteredRows {
  return {
    files: [...new Set([...one.files, ...other.files])],
    bindings: { ...one.bindings, ...other.bindings },
  };
}

function read({ program }: StepBuild, matrix: Tensor, what: string, variable: string): ScatteredRows {
  const { gpu, rows, columns } = matrix;
  if (!inSubgroups(gpu) || !Image.fits(gpu, [rows, columns], 'along rows')) {
    return { files: [`sparse/buffer_${what}.wgsl`], bindings: { [variable]: matrix } };
  }
  const image = program.copyToImage(matrix, 'along rows');
  return { files: ['gemm/image.wgsl', `sparse/image_${what}.wgsl`], bindings: image.bindings(variable) };
}
