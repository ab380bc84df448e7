import type { Device } from '../device.js';
import type { Image } from '../image.js';
import type { KernelSource } from '../kernel.js';
import type { Bindings, Program } from '../program.js';
import type { Scope } from '../scope.js';
import { padded, Tensor } from '../tensor.js';
import { byteWork, cutGroups } from '../work.js';
import {
  type GemmOrder,
  type GemmShape,
  type GemmTile,
  gemmFamilies,
  operandShapes,
  readings,
  workgroupBlocks,
} from './tiles.js';

/** What is special about a GEMM. */
export interface GemmSource {
  /**
   * The files that say how its operands lie and handle a finished block; see `shaders/README.md`. Tensors bound as `a` and
   * `b` are read from buffers or, where that is faster, from images.
   */
  readonly files: readonly string[];
  readonly constants?: Readonly<Record<string, number>>;
}

/**
 * Operations that a matrix product takes. Beside the sums, each operand is read and, of each value of C, at most seven are moved: where
 * an update ends the product, a weight and its two moments are read and written.
 */
export function gemmWork({ rows, columns, depth }: Pick<GemmShape, 'rows' | 'columns' | 'depth'>): number {
  const [m, n, k] = [rows, columns, depth].map(padded);
  return 2 * m * n * k + byteWork * 4 * (m * k + n * k + 7 * m * n);
}

/**
 * Appends a GEMM to a program.
 * @param bindings what its files bind; others are ignored.
 * @param given the tile; by default the one that the adapter's tuner chooses.
 */
export async function addGemm(
  program: Program,
  shape: GemmShape,
  source: GemmSource,
  bindings: Bindings,
  given?: GemmTile,
): Promise<void> {
  const tile = given ?? (await program.gpu.tuner.tile(shape));
  const rowBlocks = padded(shape.rows) / 4;
  const columnBlocks = padded(shape.columns) / 4;
  const [groupRows, groupColumns] = workgroupBlocks(tile);
  const groups = [Math.ceil(rowBlocks / groupRows), Math.ceil(columnBlocks / groupColumns)] as const;
  const work = gemmWork({ rows: 4 * groupRows, columns: 4 * groupColumns, depth: shape.depth });
  // The workgroups' first dimension: in `subgroup` that of the lanes, in `wide` rows; else columns.
  const turned = tile.family === 'wide' || (tile.family === 'subgroup' && tile.lanes_along_rows);
  const read = (['a', 'b'] as const).filter((name) => bindings[name] instanceof Tensor);
  const wide = tile.family === 'wide';
  const images = wide ? await copyToImages(program, shape, bindings, read) : {};
  const readers = read.map((name) => `gemm/${wide ? 'image' : 'buffer'}_${name}.wgsl`);
  const kernel = gemmSource(source, wide ? ['gemm/image.wgsl', ...readers] : readers, tile);
  for (const { first, count } of cutGroups(groups, program.gpu.mostWork / work)) {
    const [rows, columns] = count;
    const begin = [first[0] * groupRows, first[1] * groupColumns];
    const gemm = new Uint32Array([rowBlocks, columnBlocks, padded(shape.depth) / 4, ...begin]);
    const workgroups = turned ? ([rows, columns] as const) : ([columns, rows] as const);
    program.add(kernel, { ...bindings, ...images, gemm }, workgroups, rows * columns * work);
  }
}

/** Appends the copies of those operands to images, and gives what to bind in their place. */
async function copyToImages(
  program: Program,
  { order }: GemmShape,
  bindings: Bindings,
  names: readonly ('a' | 'b')[],
): Promise<Bindings> {
  const images: Image[] = [];
  await program.gpu.allocate('the images of a matrix product', () => {
    for (const name of names) {
      images.push(program.copyToImage(bindings[name] as Tensor, readings[order][name], images));
    }
  });
  return Object.assign({}, ...images.map((image, i) => image.bindings(names[i])));
}

function gemmSource(
  { files, constants }: GemmSource,
  readers: readonly string[],
  { family, ...layout }: GemmTile,
): KernelSource {
  const first = family === 'subgroup' || family === 'wide' ? ['gemm/enable_subgroups.wgsl'] : [];
  return {
    files: [...first, 'gemm/gemm.wgsl', ...readers, ...files, `gemm/${family}.wgsl`],
    constants: { ...layout, ...constants },
  };
}

const operands: Record<GemmOrder, readonly [string, string]> = {
  nt: ['gemm/a.wgsl', 'gemm/b_transposed.wgsl'],
  nn: ['gemm/a.wgsl', 'gemm/b.wgsl'],
  tn: ['gemm/a_transposed.wgsl', 'gemm/b.wgsl'],
};

/** The files of plain products, which tiles are timed with. */
export const plainProductFiles: readonly string[] = [
  'gemm/gemm.wgsl',
  'gemm/image.wgsl',
  ...['buffer', 'image'].flatMap((kind) => ['a', 'b'].map((name) => `gemm/${kind}_${name}.wgsl`)),
  ...new Set(Object.values(operands).flat()),
  'gemm/store.wgsl',
  ...gemmFamilies.map((family) => `gemm/${family}.wgsl`),
];

/** The tensors of a plain product, c [rows, columns], a and b stored as `order` says. */
export function productOperands(
  scope: Scope,
  gpu: Device,
  shape: GemmShape,
): readonly [a: Tensor, b: Tensor, c: Tensor] {
  const { a, b } = operandShapes(shape);
  return [
    scope.use(new Tensor(gpu, 'a', a)),
    scope.use(new Tensor(gpu, 'b', b)),
    scope.use(new Tensor(gpu, 'c', [shape.rows, shape.columns])),
  ];
}

/**
 * Appends the plain product, c = A·B, with A or B stored transposed as `order` says: c [m, n], a [m, k] (`tn`: [k, m]),
 * b [k, n] (`nt`: [n, k]). c is another tensor than a and b.
 * @throws RangeError if the shapes do not fit together.
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
  const files = [...operands[order], 'gemm/store.wgsl'];
  await addGemm(program, { order, rows, columns, depth }, { files }, { a, b, c }, tile);
}
