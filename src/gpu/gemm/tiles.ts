/** Which operand is stored transposed: `nt` is A·Bᵀ, `nn` is A·B, `tn` is Aᵀ·B. */
export type GemmOrder = 'nt' | 'nn' | 'tn';

/** How a kernel goes through a matrix as it is stored: along its rows, or down a few of its columns. */
export type Reading = 'along rows' | 'across rows';

/** How a product goes through its operands as they are stored: the sum's turns go along rows or across them. */
export const readings: Readonly<Record<GemmOrder, Readonly<Record<'a' | 'b', Reading>>>> = {
  nt: { a: 'along rows', b: 'along rows' },
  nn: { a: 'along rows', b: 'across rows' },
  tn: { a: 'across rows', b: 'across rows' },
};

/** The shapes of a product's operands as they are stored. */
export function operandShapes({
  order,
  rows,
  columns,
  depth,
}: GemmShape): Record<'a' | 'b', [number, number]> {
  return {
    a: order === 'tn' ? [depth, rows] : [rows, depth],
    b: order === 'nt' ? [columns, depth] : [depth, columns],
  };
}

/** C [rows, columns] = A [rows, depth] · B [depth, columns]. */
export interface GemmShape {
  readonly order: GemmOrder;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/**
 * How a GEMM's work is divided: a family of kernels and the values of its `override` constants, which its WGSL file
 * explains. Sizes are in 4x4 blocks of C and in invocations.
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
      /** For software adapters in general. */
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
    }
  | {
      /** For large products on Mesa's software adapter. */
      readonly family: 'wide';
    };

export const gemmFamilies = [
  'shared',
  'split',
  'register',
  'wide',
  'subgroup',
] as const satisfies GemmTile['family'][];

/** Lanes of a workgroup of `gemm/wide.wgsl`, and the blocks that it computes along each side. */
export const wideLanes = 8;

/** Rows and columns of blocks that a workgroup computes. */
export function workgroupBlocks(tile: GemmTile): readonly [rows: number, columns: number] {
  switch (tile.family) {
    case 'split':
      return [tile.tile_rows, tile.tile_columns];
    case 'subgroup': {
      const along = tile.lanes * tile.lane_blocks;
      const other = tile.shared_blocks * tile.turns;
      return tile.lanes_along_rows ? [along, other] : [other, along];
    }
    case 'wide':
      return [wideLanes, wideLanes];
    default:
      return [tile.tile_rows * tile.threads_rows, tile.tile_columns * tile.threads_columns];
  }
}

/** Tiles by shape, such as `nt 64x20x784`. */
export type Tiles = Readonly<Record<string, GemmTile>>;

/** Chooses the tile of a GEMM. */
export interface TileChooser {
  /** The tiles chosen so far: with the same tiles, seed, adapter and driver, a run gives the same bits. */
  readonly tiles: Tiles;
  tile(shape: GemmShape): Promise<GemmTile>;
}
