import { DataError } from '../../sae/errors.js';
import { weightGreys } from '../../sae/insight/pictures.js';
import type { ImageShape } from '../../sae/rows/dataset.js';
import { product } from '../../sae/rows/formats/array.js';
import { border, gridOf } from './grid.js';
import { drawTile, raster, saveRaster } from './save.js';

/**
 * The weights of the first encoder layer, [count, ...image_shape]: a row for each latent or, in a deeper encoder, hidden unit.
 */
export interface Features {
  readonly weight: Float32Array;
  readonly count: number;
  readonly image_shape: ImageShape;
}

const black = 0;

/**
 * Writes a PNG with a tile for every row of weights, in reading order: the direction in input space that the encoder
 * looks for. Each tile is scaled by its own largest magnitude. Middle grey (128) is zero, white the largest magnitude
 * when positive, black (1) when negative; a row of zeros is middle grey all over. Of images in colour, that goes for red, green
 * and blue each. Tiles lie in a grid as `gridOf` says,
 * one black pixel apart.
 * @throws DataError when `weight` does not have as many values; EngineError when the file cannot be written.
 */
export async function writeFeatures(file: string, { weight, count, image_shape }: Features): Promise<void> {
  const [h, w, channels = 1] = image_shape;
  const size = product(image_shape);
  if (count < 1 || weight.length !== count * size) {
    throw new DataError(
      `${count} rows of ${image_shape.join(' x ')} weights need at least one row and ${count * size} values, not ${weight.length}.`,
    );
  }
  const { columns, rows, factor } = gridOf(count, image_shape);
  const stepX = w * factor + border;
  const stepY = h * factor + border;
  const image = raster(columns * stepX + border, rows * stepY + border, channels);
  const frame = new Uint8Array((stepX + border) * (stepY + border) * channels).fill(black);
  for (let i = 0; i < count; i++) {
    const tile = weightGreys(weight.subarray(i * size, (i + 1) * size));
    const left = (i % columns) * stepX;
    const top = Math.floor(i / columns) * stepY;
    // Neighbours share their border; an empty cell has none.
    drawTile(image, frame, [stepY + border, stepX + border], left, top, 1);
    drawTile(image, tile, [h, w], left + border, top + border, factor);
  }
  await saveRaster(file, image);
}
