import { DataError } from '../../sae/errors.js';
import { weightGreys } from '../../sae/insight/pictures.js';
import { border, gridOf } from './grid.js';
import { drawTile, raster, saveRaster } from './save.js';

/**
 * The weights of the first encoder layer, [count, h * w]: a row for each latent or, in a deeper encoder, hidden unit.
 */
export interface Features {
  readonly weight: Float32Array;
  readonly count: number;
  readonly image_shape: readonly [number, number];
}

const black = 0;

/**
 * Writes a PNG with a tile for every row of weights, in reading order: the direction in input space that the encoder
 * looks for. Each tile is scaled by its own largest magnitude. Middle grey (128) is zero, white the largest magnitude
 * when positive, black (1) when negative; a row of zeros is middle grey all over. Tiles lie in a grid as `gridOf` says,
 * one black pixel apart.
 * @throws DataError when `weight` does not have count * h * w values; EngineError when the file cannot be written.
 */
export async function writeFeatures(file: string, { weight, count, image_shape }: Features): Promise<void> {
  const [h, w] = image_shape;
  if (count < 1 || weight.length !== count * h * w) {
    throw new DataError(
      `${count} rows of ${h} x ${w} weights need at least one row and ${count * h * w} values, not ${weight.length}.`,
    );
  }
  const { columns, rows, factor } = gridOf(count, image_shape);
  const stepX = w * factor + border;
  const stepY = h * factor + border;
  const image = raster(columns * stepX + border, rows * stepY + border, 1);
  const frame = new Uint8Array((stepX + border) * (stepY + border)).fill(black);
  for (let i = 0; i < count; i++) {
    const tile = weightGreys(weight.subarray(i * h * w, (i + 1) * h * w));
    const left = (i % columns) * stepX;
    const top = Math.floor(i / columns) * stepY;
    // Neighbours share their border; an empty cell has none.
    drawTile(image, frame, [stepY + border, stepX + border], left, top, 1);
    drawTile(image, tile, image_shape, left + border, top + border, factor);
  }
  await saveRaster(file, image);
}
