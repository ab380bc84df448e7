import type { Program } from '../../gpu/program.js';
import { padded, type Tensor } from '../../gpu/tensor.js';
import { leastNorm } from './formats/fold.js';
import type { ModelLayer, Rescaling } from './layers.js';

/** Invocations per workgroup in `sparsity/decoder_norms.wgsl` and `sparsity/rescale.wgsl`. */
const threads = 64;

/** Appends the norms of decoder directions, as they are now and none of them 0, if one of the layers multiplies or divides by them. */
export function addRescalingNorms(program: Program, layers: readonly ModelLayer[]): void {
  const rescaling = layers.find((layer) => layer.rescaling)?.rescaling;
  if (rescaling) {
    const { norms, weight, byLatents } = rescaling;
    const kernel = {
      files: ['sparsity/decoder_norms.wgsl'],
      constants: { by_latents: byLatents ? 1 : 0, least: leastNorm },
    };
    const outputs = byLatents ? weight.columns : weight.rows;
    const latentBlocks = padded(norms.columns) / 4;
    const decoder = new Uint32Array([outputs, latentBlocks]);
    const groups = program.gpu.groups(Math.ceil(latentBlocks / threads));
    program.add(kernel, { decoder, decoder_weights: weight, decoder_norms: norms }, [groups, 1]);
  }
}

/** Appends the multiplication of a code [rows, latents] by the norms, in place. */
export function addRescaling(program: Program, { norms }: Rescaling, code: Tensor): void {
  const columnBlocks = padded(code.columns) / 4;
  const rescaled = new Uint32Array([columnBlocks]);
  const groups = program.gpu.groups(Math.ceil((padded(code.rows) * columnBlocks) / threads));
  const kernel = { files: ['sparsity/rescale.wgsl'] };
  program.add(kernel, { rescaled, decoder_norms: norms, code }, [groups, 1]);
}
