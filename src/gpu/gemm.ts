import type { KernelSource } from './kernel.js';
import type { Program } from './program.js';
import { padded, type Tensor } from './tensor.js';

/** Which operand is stored transposed: `nt` is A·Bᵀ, `nn` is A·B, `tn` is Aᵀ·B. */
export type GemmOrder = 'nt' | 'nn' | 'tn';

/** How a GEMM's work is laid out. Sizes are in 4x4 blocks of the result, and in invocations. */
export interface GemmTile {
  /** `register` keeps tiles in registers, without barriers, for processors; `shared` is for GPUs. */
  readonly family: 'register' | 'shared';
  readonly tile_rows: number;
  readonly tile_columns: number;
  readonly threads_rows: number;
  readonly threads_columns: number;
}

const operands: Record<GemmOrder, readonly [string, string]> = {
  nt: ['gemm_a.wgsl', 'gemm_b_transposed.wgsl'],
  nn: ['gemm_a.wgsl', 'gemm_b.wgsl'],
  tn: ['gemm_a_transposed.wgsl', 'gemm_b.wgsl'],
};

/** The tile that suits an adapter. */
export function gemmTile(software: boolean): GemmTile {
  return software
    ? { family: 'register', tile_rows: 1, tile_columns: 1, threads_rows: 8, threads_columns: 8 }
    : { family: 'shared', tile_rows: 1, tile_columns: 1, threads_rows: 16, threads_columns: 16 };
}

/** Which files and constants make the GEMM of that order with that tile. */
export function gemmSource(order: GemmOrder, { family, ...constants }: GemmTile): KernelSource {
  return { files: ['gemm.wgsl', ...operands[order], 'gemm_store.wgsl', `gemm_${family}.wgsl`], constants };
}

/**
 * Appends C = A·B to a program, with A or B stored transposed as `order` says: C [m, n], A [m, k] (`tn`: [k, m]),
 * B [k, n] (`nt`: [n, k]).
 * @throws RangeError where the shapes do not fit together.
 */
export async function addGemm(
  program: Program,
  order: GemmOrder,
  a: Tensor,
  b: Tensor,
  c: Tensor,
  tile: GemmTile = gemmTile(program.gpu.software),
): Promise<void> {
  const [m, depth] = order === 'tn' ? [a.columns, a.rows] : [a.rows, a.columns];
  const [n, depthOfB] = order === 'nt' ? [b.rows, b.columns] : [b.columns, b.rows];
  if (depth !== depthOfB || m !== c.rows || n !== c.columns) {
    throw new RangeError(`GEMM ${order}: [${a.shape}] and [${b.shape}] do not make [${c.shape}]`);
  }
  const kernel = await program.gpu.kernel(gemmSource(order, tile));
  const rowBlocks = padded(m) / 4;
  const columnBlocks = padded(n) / 4;
  const sizes = new Uint32Array([rowBlocks, columnBlocks, padded(depth) / 4]);
  program.add(
    kernel,
    [sizes, a, b, c],
    [
      Math.ceil(columnBlocks / (tile.tile_columns * tile.threads_columns)),
      Math.ceil(rowBlocks / (tile.tile_rows * tile.threads_rows)),
    ],
  );
}
