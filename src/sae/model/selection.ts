import type { Program } from '../../gpu/program.js';
import { padded, type Tensor } from '../../gpu/tensor.js';
import type { Selection } from '../sparsity/index.js';

/** Appends the selection of latents in a code [rows, latents], in place. */
export function addSelection(program: Program, { topk }: Selection, code: Tensor): void {
  const rows = padded(code.rows);
  const sizes = new Uint32Array([rows, padded(code.columns) / 4, topk]);
  program.add({ files: ['sparsity/topk.wgsl'] }, { code, topk: sizes }, [program.gpu.groups(rows), 1]);
}
