import type { Device } from '../device.js';
import { Image } from '../image.js';
import { padded } from '../tensor.js';
import { type GemmShape, type GemmTile, operandShapes, readings, wideLanes } from './tiles.js';

/**
 * With fewer outputs than this, tiles of 64 x 64 do not keep all of a GPU's cores busy, and the sum is split as well.
 */
const fewOutputs = 64 * 64 * 64;
/** Invocations that fill a large GPU. */
const fullGpu = 32_768;
/** Invocations of a workgroup that splits sums. */
const splitThreads = 256;

/**
 * The tiles that are worth timing for a shape on an adapter, the one expected to be fastest first. They differ in
 * speed, not in the order of sums: which sums are split, and how, depends only on the shape.
 */
export function gemmTiles(gpu: Device, shape: GemmShape): readonly GemmTile[] {
  if (!gpu.software) {
    return padded(shape.rows) * padded(shape.columns) < fewOutputs
      ? splitTiles(shape)
      : sharedTiles(gpu, shape);
  }
  // It has subgroups too, but shuffles slowly.
  if (gpu.adapter.info.architecture === 'swiftshader') {
    return registerTiles(shape, Infinity);
  }
  // Where subgroups are fast, tiles in registers were never faster, and each takes seconds to compile.
  const lanes = gpu.subgroupSize;
  if (lanes === undefined) {
    return registerTiles(shape, fewBlocks);
  }
  const others = subgroupTiles(lanes, shape);
  return lanes === wideLanes && suitsWide(gpu, shape) ? [{ family: 'wide' }, ...others] : others;
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

/** [blocks per invocation along each side, invocations along rows, along columns, blocks of the sum at a time]. */
const sharedLayouts = [
  [2, 16, 16, 2],
  [2, 8, 8, 4],
  [2, 8, 16, 4],
  [1, 16, 16, 4],
  [1, 8, 8, 4],
] as const;

function sharedTiles(gpu: Device, { rows, columns }: GemmShape): GemmTile[] {
  const { maxComputeWorkgroupStorageSize: storage } = gpu.device.limits;
  const groups = ([side, threads_rows, threads_columns]: (typeof sharedLayouts)[number]) =>
    Math.ceil(rows / (4 * side * threads_rows)) * Math.ceil(columns / (4 * side * threads_columns));
  const fitting = sharedLayouts.filter(([side, threads_rows, threads_columns, slice_depth]) => {
    const line = side * (threads_rows + threads_columns) + 2;
    return line * slice_depth * 4 * 16 <= storage;
  });
  // The largest tile that still gives at least 128 workgroups, then the others in order.
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

/** Starting an invocation costs about as much as a small tile: it makes several, while this many workgroups remain. */
const enoughWorkgroups = 16;

/** Multiply-adds from which a wide tile is taken: it takes twice as long to compile as others. */
const manyProducts = 2 ** 23;
/** The least share of a wide tile's blocks that must lie in C: with less, what it saves would be spent past the edge. */
const wideFill = 0.75;

function suitsWide(gpu: Device, shape: GemmShape): boolean {
  const { order, rows, columns, depth } = shape;
  const [rowBlocks, columnBlocks] = [padded(rows) / 4, padded(columns) / 4];
  const groups = Math.ceil(rowBlocks / wideLanes) * Math.ceil(columnBlocks / wideLanes);
  return (
    rows * columns * depth >= manyProducts &&
    groups >= enoughWorkgroups &&
    fill(rowBlocks, wideLanes) * fill(columnBlocks, wideLanes) >= wideFill &&
    (['a', 'b'] as const).every((name) => Image.fits(gpu, operandShapes(shape)[name], readings[order][name]))
  );
}

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

/** Lanes of a software adapter that work in parallel: SwiftShader's subgroups have 4. */
const registerLanes = 4;
/** The fewest cores that a processor is assumed to have: a single workgroup would leave one idle. */
const fewCores = 2;
/**
 * Blocks of a tile where Mesa compiles it. With 4x6, a step is a tenth faster and the first one comes two to three
 * times as late: after half a minute or a whole one.
 */
const fewBlocks = 4;

/**
 * Tiles of at most `most` blocks. Sorted by a cost that fits measurements on SwiftShader: an invocation's time is proportional to the blocks of C that
 * it adds to plus the blocks of A and B that it reads, and neighbours work in lockstep.
 */
function registerTiles({ rows, columns }: GemmShape, most: number): GemmTile[] {
  const rowBlocks = padded(rows) / 4;
  const columnBlocks = padded(columns) / 4;
  const rated: { tile: GemmTile; cost: number }[] = [];
  for (const tile_rows of [4, 2, 1] as const) {
    for (const tile_columns of [6, 5, 4, 3, 2] as const) {
      if (tile_rows * tile_columns > most) {
        continue;
      }
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
