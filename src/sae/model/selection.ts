import type { Program } from '../../gpu/program.js';
import { padded, type Tensor } from '../../gpu/tensor.js';
import type { ModelLayer } from './layers.js';

/** Invocations per workgroup in `sparsity/threshold.wgsl` and `sparsity/first_latents.wgsl`. */
const threads = 64;

/** Appends what sets all but the first latents of a code [rows, latents] to 0. */
export function addFirstLatents(program: Program, latents: number, code: Tensor): void {
  const columnBlocks = padded(code.columns) / 4;
  const first = new Uint32Array([columnBlocks, latents]);
  const groups = [program.gpu.groups(Math.ceil((padded(code.rows) * columnBlocks) / threads)), 1] as const;
  program.add({ files: ['sparsity/first_latents.wgsl'] }, { code, first }, groups);
}

/** Appends the selection of latents in a layer's code [rows, latents], in place. */
export function addSelection(
  program: Program,
  { selection, threshold }: Pick<ModelLayer, 'selection' | 'threshold'>,
  code: Tensor,
): void {
  const rows = padded(code.rows);
  const columnBlocks = padded(code.columns) / 4;
  if (threshold) {
    const sizes = new Uint32Array([columnBlocks, threshold.columns === code.columns ? 1 : 0]);
    const groups = [program.gpu.groups(Math.ceil((rows * columnBlocks) / threads)), 1] as const;
    const files = ['sparsity/threshold.wgsl'];
    program.add({ files }, { code, thresholds: threshold, selection: sizes }, groups);
  } else if (selection && 'topk' in selection) {
    const sizes = new Uint32Array([rows, columnBlocks, selection.topk]);
    program.add({ files: ['sparsity/topk.wgsl'] }, { code, topk: sizes }, [program.gpu.groups(rows), 1]);
  }
}
