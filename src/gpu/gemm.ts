import type { Gpu } from './gpu.js';
import type { KernelSource } from './kernel.js';
import type { Bindings, Program } from './program.js';
import { padded, type Tensor } from './tensor.js';

/** C [rows, columns] = A [rows, depth] · B [depth, columns]. */
export interface GemmShape {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/** How a GEMM's work is laid out. Sizes are in 4x4 blocks of C and in invocations; see the families' WGSL files. */
export type GemmTile =
  | {
      /** `register` is for software adapters without subgroups, `shared` for GPUs. */
      readonly family: 'register' | 'shared';
      readonly tile_rows: number;
      readonly tile_columns: number;
      readonly threads_rows: number;
      readonly threads_columns: number;
    }
  | {
      /** For software adapters with subgroups. */
      readonly family: 'subgroup';
      readonly lanes: number;
      readonly lane_blocks: number;
      readonly shared_blocks: number;
      readonly lanes_along_rows: 0 | 1;
    };

/** The tile for a shape on an adapter: always the same one, since the order of sums may depend on it. */
export function gemmTile(gpu: Gpu, shape: GemmShape): GemmTile {
  if (!gpu.software) {
    return { family: 'shared', tile_rows: 1, tile_columns: 1, threads_rows: 16, threads_columns: 16 };
  }
  const lanes = gpu.subgroupSize;
  if (lanes === undefined) {
    return { family: 'register', tile_rows: 1, tile_columns: 1, threads_rows: 8, threads_columns: 8 };
  }
  const shared_blocks = 2;
  // The share of lanes and of shared lines that are not past the end of C.
  const use = (laneLength: number, sharedLength: number) =>
    fill(padded(laneLength) / 4, lanes) * fill(padded(sharedLength) / 4, shared_blocks);
  const alongRows = use(shape.rows, shape.columns) > use(shape.columns, shape.rows);
  return { family: 'subgroup', lanes, lane_blocks: 1, shared_blocks, lanes_along_rows: alongRows ? 1 : 0 };
}

function fill(blocks: number, unit: number): number {
  return blocks / (Math.ceil(blocks / unit) * unit);
}

/**
 * Appends a GEMM to a program.
 * @param files what reads its operands and what is done with a finished block; see `shaders/gemm.wgsl`.
 */
export async function addGemm(
  program: Program,
  shape: GemmShape,
  files: readonly string[],
  bindings: Bindings,
  tile: GemmTile = gemmTile(program.gpu, shape),
): Promise<void> {
  const kernel = await program.gpu.kernel(gemmSource(files, tile));
  const rowBlocks = padded(shape.rows) / 4;
  const columnBlocks = padded(shape.columns) / 4;
  const gemm = new Uint32Array([rowBlocks, columnBlocks, padded(shape.depth) / 4]);
  program.add(kernel, { ...bindings, gemm }, workgroups(tile, rowBlocks, columnBlocks));
}

function gemmSource(files: readonly string[], { family, ...constants }: GemmTile): KernelSource {
  const first = family === 'subgroup' ? ['subgroups.wgsl'] : [];
  return { files: [...first, 'gemm.wgsl', ...files, `gemm_${family}.wgsl`], constants };
}

function workgroups(tile: GemmTile, rowBlocks: number, columnBlocks: number): readonly [number, number] {
  if (tile.family !== 'subgroup') {
    return [
      Math.ceil(columnBlocks / (tile.tile_columns * tile.threads_columns)),
      Math.ceil(rowBlocks / (tile.tile_rows * tile.threads_rows)),
    ];
  }
  const [lane, shared] = tile.lanes_along_rows ? [rowBlocks, columnBlocks] : [columnBlocks, rowBlocks];
  return [Math.ceil(lane / (tile.lane_blocks * tile.lanes)), Math.ceil(shared / tile.shared_blocks)];
}

/** Which operand is stored transposed: `nt` is A·Bᵀ, `nn` is A·B, `tn` is Aᵀ·B. */
export type GemmOrder = 'nt' | 'nn' | 'tn';

const operands: Record<GemmOrder, readonly [string, string]> = {
  nt: ['gemm_a.wgsl', 'gemm_b_transposed.wgsl'],
  nn: ['gemm_a.wgsl', 'gemm_b.wgsl'],
  tn: ['gemm_a_transposed.wgsl', 'gemm_b.wgsl'],
};

/**
 * Appends the plain product, c = A·B, with A or B stored transposed as `order` says: c [m, n], a [m, k] (`tn`: [k, m]),
 * b [k, n] (`nt`: [n, k]).
 * @throws RangeError where the shapes do not fit together.
 */
export async function multiply(
  program: Program,
  order: GemmOrder,
  a: Tensor,
  b: Tensor,
  c: Tensor,
  tile?: GemmTile,
): Promise<void> {
  const [rows, depth] = order === 'tn' ? [a.columns, a.rows] : [a.rows, a.columns];
  const [columns, depthOfB] = order === 'nt' ? [b.rows, b.columns] : [b.columns, b.rows];
  if (depth !== depthOfB || rows !== c.rows || columns !== c.columns) {
    throw new RangeError(`GEMM ${order}: [${a.shape}] and [${b.shape}] do not make [${c.shape}]`);
  }
  const files = [...operands[order], 'gemm_store.wgsl'];
  await addGemm(program, { rows, columns, depth }, files, { a, b, c }, tile);
}
