import type { Gpu } from './gpu.js';
import { padded } from './tensor.js';

/** Which operand is stored transposed: `nt` is A·Bᵀ, `nn` is A·B, `tn` is Aᵀ·B. */
export type GemmOrder = 'nt' | 'nn' | 'tn';

/** C [rows, columns] = A [rows, depth] · B [depth, columns]. */
export interface GemmShape {
  readonly order: GemmOrder;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/**
 * How a GEMM's work is laid out: a family of kernels and the values of its `override` constants, which are explained in
 * the family's WGSL file. Sizes are in 4x4 blocks of C and in invocations.
 */
export type GemmTile =
  | {
      /** For GPUs. */
      readonly family: 'shared';
      readonly tile_rows: 1 | 2;
      readonly tile_columns: 1 | 2;
      readonly threads_rows: number;
      readonly threads_columns: number;
      readonly slice_depth: number;
    }
  | {
      /** For GPUs where C is small. */
      readonly family: 'split';
      readonly splits: number;
      readonly tile_rows: number;
      readonly tile_columns: number;
    }
  | {
      /** For software adapters: the one that goes with most of them. */
      readonly family: 'register';
      readonly tile_rows: 1 | 2 | 4;
      readonly tile_columns: 1 | 2 | 3 | 4 | 5 | 6;
      readonly threads_rows: number;
      readonly threads_columns: number;
    }
  | {
      /** For Mesa's software adapter. */
      readonly family: 'subgroup';
      readonly lanes: number;
      readonly lane_blocks: number;
      readonly shared_blocks: number;
      readonly turns: number;
      readonly lanes_along_rows: 0 | 1;
    };

export const gemmFamilies = [
  'shared',
  'split',
  'register',
  'subgroup',
] as const satisfies GemmTile['family'][];

/** Rows and columns of blocks that a workgroup makes. */
export function workgroupBlocks(tile: GemmTile): readonly [rows: number, columns: number] {
  switch (tile.family) {
    case 'split':
      return [tile.tile_rows, tile.tile_columns];
    case 'subgroup': {
      const along = tile.lanes * tile.lane_blocks;
      const other = tile.shared_blocks * tile.turns;
      return tile.lanes_along_rows ? [along, other] : [other, along];
    }
    default:
      return [tile.tile_rows * tile.threads_rows, tile.tile_columns * tile.threads_columns];
  }
}

/** Outputs below which a GPU's cores are not all busy with tiles of 64 x 64: the sum is then split as well. */
const fewOutputs = 64 * 64 * 64;
/** Invocations that fill a large GPU. */
const fullGpu = 32_768;
/** Invocations of a workgroup that splits sums. */
const splitThreads = 256;

/**
 * The tiles that are worth a try for a shape on an adapter, the likeliest first. They differ in speed, not in the order
 * of sums: which sums are split, and how, depends on the shape alone.
 */
export function gemmTiles(gpu: Gpu, shape: GemmShape): readonly GemmTile[] {
  if (!gpu.software) {
    return padded(shape.rows) * padded(shape.columns) < fewOutputs
      ? splitTiles(shape)
      : sharedTiles(gpu, shape);
  }
  // SwiftShader has subgroups too, but passes values round slowly.
  const lanes = gpu.adapter.info.architecture === 'swiftshader' ? undefined : gpu.subgroupSize;
  // Where subgroups are fast, tiles in registers were never faster, and each takes seconds to compile.
  return lanes === undefined ? registerTiles(shape) : subgroupTiles(lanes, shape);
}

function splitTiles({ rows, columns, depth }: GemmShape): GemmTile[] {
  const rowBlocks = padded(rows) / 4;
  const columnBlocks = padded(columns) / 4;
  const most = Math.min(64, padded(depth) / 4);
  let splits = 1;
  while (2 * splits <= most && splits * rowBlocks * columnBlocks < fullGpu) {
    splits *= 2;
  }
  const tiles: GemmTile[] = [];
  for (const threads of [splitThreads, splitThreads / 4]) {
    const blocks = Math.max(1, threads / splits);
    // About square, and no wider or higher than C.
    const side = 2 ** Math.floor(Math.log2(blocks) / 2);
    const tile_rows = Math.min(side, powerOfTwo(rowBlocks));
    const tile_columns = Math.min(blocks / tile_rows, powerOfTwo(columnBlocks));
    tiles.push({ family: 'split', splits, tile_rows, tile_columns });
  }
  return unique(tiles);
}

/** The least power of two that is at least `value`. */
function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}

/** [blocks an invocation each way, invocations along rows and along columns, blocks of the sum at a time]. */
const sharedLayouts = [
  [2, 16, 16, 2],
  [2, 8, 8, 4],
  [2, 8, 16, 4],
  [1, 16, 16, 4],
  [1, 8, 8, 4],
] as const;

function sharedTiles(gpu: Gpu, { rows, columns }: GemmShape): GemmTile[] {
  const { maxComputeWorkgroupStorageSize: storage } = gpu.device.limits;
  const groups = ([side, threads_rows, threads_columns]: (typeof sharedLayouts)[number]) =>
    Math.ceil(rows / (4 * side * threads_rows)) * Math.ceil(columns / (4 * side * threads_columns));
  const fitting = sharedLayouts.filter(([side, threads_rows, threads_columns, slice_depth]) => {
    const line = side * (threads_rows + threads_columns) + 2;
    return line * slice_depth * 4 * 16 <= storage;
  });
  // The largest tile that still makes some hundred workgroups, then the others in turn.
  const first = fitting.find((layout) => groups(layout) >= 128) ?? fitting[fitting.length - 1];
  return [first, ...fitting.filter((layout) => layout !== first)].map(
    ([side, threads_rows, threads_columns, slice_depth]) => ({
      family: 'shared',
      tile_rows: side,
      tile_columns: side,
      threads_rows,
      threads_columns,
      slice_depth,
    }),
  );
}

/** Starting an invocation costs about as much as a small tile: it makes several in turn, as long as this many workgroups remain. */
const enoughWorkgroups = 16;

function subgroupTiles(lanes: number, { rows, columns }: GemmShape): GemmTile[] {
  const shared_blocks = 2;
  // The share of lanes and of shared lines that are not past the end of C.
  const use = (laneLength: number, sharedLength: number) =>
    fill(padded(laneLength) / 4, lanes) * fill(padded(sharedLength) / 4, shared_blocks);
  const tiles = ([0, 1] as const).map((lanes_along_rows): GemmTile[] => {
    const [along, other] = lanes_along_rows ? [rows, columns] : [columns, rows];
    const single = Math.ceil(along / 4 / lanes) * Math.ceil(other / 4 / shared_blocks);
    const most = Math.max(1, Math.min(8, Math.floor(single / enoughWorkgroups)));
    return [most, 1].map((turns) => {
      return { family: 'subgroup', lanes, lane_blocks: 1, shared_blocks, turns, lanes_along_rows };
    });
  });
  return unique((use(rows, columns) > use(columns, rows) ? tiles.reverse() : tiles).flat());
}

function fill(blocks: number, unit: number): number {
  return blocks / (Math.ceil(blocks / unit) * unit);
}

/** Lanes of a software adapter that work side by side: SwiftShader's subgroups have 4. */
const registerLanes = 4;
/** Cores that a processor has at the least: a single workgroup would leave one of them idle. */
const fewCores = 2;

/**
 * Best first by what was measured on SwiftShader: an invocation's time goes as the blocks of C it adds to and the blocks of
 * A and B it reads, and neighbours work in lockstep.
 */
function registerTiles({ rows, columns }: GemmShape): GemmTile[] {
  const rowBlocks = padded(rows) / 4;
  const columnBlocks = padded(columns) / 4;
  const rated: { tile: GemmTile; cost: number }[] = [];
  for (const tile_rows of [4, 2, 1] as const) {
    for (const tile_columns of [6, 5, 4, 3, 2] as const) {
      for (const [threads_rows, threads_columns] of [
        [registerLanes, 1],
        [1, registerLanes],
      ]) {
        const groups =
          Math.ceil(rowBlocks / (tile_rows * threads_rows)) *
          Math.ceil(columnBlocks / (tile_columns * threads_columns));
        const cost = Math.ceil(groups / fewCores) * (tile_rows * tile_columns + tile_rows + tile_columns);
        rated.push({
          tile: { family: 'register', tile_rows, tile_columns, threads_rows, threads_columns },
          cost,
        });
      }
    }
  }
  rated.sort((a, b) => a.cost - b.cost);
  return rated.slice(0, 6).map(({ tile }) => tile);
}

function unique(tiles: readonly GemmTile[]): GemmTile[] {
  const texts = new Set<string>();
  return tiles.filter((tile) => {
    const text = JSON.stringify(tile);
    const isNew = !texts.has(text);
    texts.add(text);
    return isNew;
  });
}
