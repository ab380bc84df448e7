import type { KernelSource } from './kernel.js';
import type { Bindings, Program } from './program.js';
import { padded, type Tensor } from './tensor.js';
import { type GemmOrder, type GemmShape, type GemmTile, workgroupBlocks } from './tiles.js';

/**
 * Appends a GEMM to a program.
 * @param files what reads its operands and what is done with a finished block; see `shaders/gemm.wgsl`.
 * @param given the tile: by default the one that the adapter's tuner chooses.
 */
export async function addGemm(
  program: Program,
  shape: GemmShape,
  files: readonly string[],
  bindings: Bindings,
  given?: GemmTile,
): Promise<void> {
  const tile = given ?? (await program.gpu.tuner.tile(shape));
  const rowBlocks = padded(shape.rows) / 4;
  const columnBlocks = padded(shape.columns) / 4;
  const gemm = new Uint32Array([rowBlocks, columnBlocks, padded(shape.depth) / 4]);
  const [groupRows, groupColumns] = workgroupBlocks(tile);
  const groups = [Math.ceil(columnBlocks / groupColumns), Math.ceil(rowBlocks / groupRows)] as const;
  // A subgroup's lanes lie along the workgroups' first dimension.
  const turned = tile.family === 'subgroup' && tile.lanes_along_rows;
  const workgroups = turned ? ([groups[1], groups[0]] as const) : groups;
  program.add(gemmSource(files, tile), { ...bindings, gemm }, workgroups);
}

function gemmSource(files: readonly string[], { family, ...constants }: GemmTile): KernelSource {
  const first = family === 'subgroup' ? ['subgroups.wgsl'] : [];
  return { files: [...first, 'gemm.wgsl', ...files, `gemm_${family}.wgsl`], constants };
}

const operands: Record<GemmOrder, readonly [string, string]> = {
  nt: ['gemm_a.wgsl', 'gemm_b_transposed.wgsl'],
  nn: ['gemm_a.wgsl', 'gemm_b.wgsl'],
  tn: ['gemm_a_transposed.wgsl', 'gemm_b.wgsl'],
};

/** What plain products are made of, beside the families. */
export const plainProductFiles = ['gemm.wgsl', ...new Set(Object.values(operands).flat()), 'gemm_store.wgsl'];

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
  await addGemm(program, { order, rows, columns, depth }, files, { a, b, c }, tile);
}
