import { addLines } from '../../gpu/lines.js';
import type { Bindings, Program } from '../../gpu/program.js';
import { padded, type Tensor } from '../../gpu/tensor.js';
import { byteWork } from '../../gpu/work.js';
import type { ModelLayer } from './layers.js';
import { addRescaling } from './rescaling.js';

/** Invocations per workgroup in `sparsity/threshold.wgsl` and `sparsity/first_latents.wgsl`. */
const threads = 64;

/** Appends what sets all but the first latents of a code [rows, latents] to 0. */
export function addFirstLatents(program: Program, latents: number, code: Tensor): void {
  const columnBlocks = padded(code.columns) / 4;
  const first = new Uint32Array([columnBlocks, latents]);
  const groups = [program.gpu.groups(Math.ceil((padded(code.rows) * columnBlocks) / threads)), 1] as const;
  program.add({ files: ['sparsity/first_latents.wgsl'] }, { code, first }, groups);
}

/** Appends the selection of latents in a layer's code [rows, latents], in place, and before it what multiplies them, if anything does. */
export function addSelection(
  program: Program,
  { selection, threshold, rescaling }: Pick<ModelLayer, 'selection' | 'threshold' | 'rescaling'>,
  code: Tensor,
): void {
  const rows = padded(code.rows);
  const columnBlocks = padded(code.columns) / 4;
  if (rescaling) {
    addRescaling(program, rescaling, code);
  }
  if (threshold) {
    const sizes = new Uint32Array([columnBlocks, threshold.columns === code.columns ? 1 : 0]);
    const groups = [program.gpu.groups(Math.ceil((rows * columnBlocks) / threads)), 1] as const;
    const files = ['sparsity/threshold.wgsl'];
    program.add({ files }, { code, thresholds: threshold, selection: sizes }, groups);
  } else if (selection && 'topk' in selection) {
    addTopK(program, code, ['sparsity/model_k.wgsl'], { k: new Uint32Array([selection.topk]) });
  }
}

/**
 * Appends what sets all but the k largest latents of each row to 0.
 * @param files those that say what k is. @param bindings what they bind.
 */
export function addTopK(program: Program, code: Tensor, files: readonly string[], bindings: Bindings): void {
  const columns = padded(code.columns);
  const topk = new Uint32Array([columns / 4]);
  const kernel = { files: ['sparse/lines.wgsl', ...files, 'sparsity/topk.wgsl'] };
  // Read for each of four digits, for equal ones and when it is changed.
  const work = { count: padded(code.rows), each: 7 * 4 * columns * byteWork };
  addLines(program, kernel, { ...bindings, code, topk }, work, (rows) => program.gpu.groups(rows));
}
