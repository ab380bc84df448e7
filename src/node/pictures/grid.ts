import type { ImageShape } from '../../sae/rows/dataset.js';

// All in pixels.
const maxTile = 224;
/** The width of the line between tiles and around all of them. */
export const border = 1;

/** The arrangement of tiles in a picture. */
export interface Grid {
  readonly columns: number;
  readonly rows: number;
  /** Pixels along each side of one of the image. */
  readonly factor: number;
}

/**
 * A roughly square grid of `count` tiles of h by w pixels with borders, enlarged to at most so many pixels along each
 * side, or not at all if there are too many tiles.
 */
export function gridOf(count: number, [h, w]: ImageShape, maxSide = 1000): Grid {
  const columns = Math.min(count, Math.max(1, Math.ceil(Math.sqrt((count * h) / w))));
  const rows = Math.ceil(count / columns);
  const side = Math.min(
    (maxSide / columns - border) / w,
    (maxSide / rows - border) / h,
    maxTile / Math.max(h, w),
  );
  return { columns, rows, factor: Math.max(1, Math.floor(side)) };
}
