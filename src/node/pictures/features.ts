import { DataError } from '../../sae/errors.js';
import { weightGreys } from '../../sae/pictures.js';
import { drawTile, greyImage, saveGreyImage } from './save.js';

/** The weights of the first encoder layer, [units, h * w]. */
export interface Features {
  readonly weight: Float32Array;
  readonly units: number;
  readonly image_shape: readonly [number, number];
}

// All in pixels.
const maxSide = 1000;
const maxTile = 224;
const border = 1;

const black = 0;
const white = 255;

/**
 * Writes a PNG with a tile for every unit, in reading order: the input of norm 1 that excites the unit most. That is
 * its row of weights divided by the row's norm (Cauchy-Schwarz); each tile is then scaled by its own largest
 * magnitude, so that the norm itself drops out. Middle grey (128) is zero, white the largest magnitude when positive,
 * black (1) when negative; a row of zeros is middle grey all over. Tiles lie in a grid that is about square, one
 * black pixel apart, enlarged by a whole factor to at most 1000 pixels a side, or not at all where there are too many.
 * @throws DataError when `weight` does not have units * h * w values; EngineError when the file cannot be written.
 */
export async function writeFeatures(file: string, { weight, units, image_shape }: Features): Promise<void> {
  const [h, w] = image_shape;
  if (units < 1 || weight.length !== units * h * w) {
    throw new DataError(
      `The features of ${units} units of ${h} x ${w} inputs need at least one unit and ${units * h * w} weights, ` +
        `not ${weight.length}.`,
    );
  }
  const columns = Math.min(units, Math.max(1, Math.ceil(Math.sqrt((units * h) / w))));
  const rows = Math.ceil(units / columns);
  const side = Math.min(
    (maxSide / columns - border) / w,
    (maxSide / rows - border) / h,
    maxTile / Math.max(h, w),
  );
  const factor = Math.max(1, Math.floor(side));
  const stepX = w * factor + border;
  const stepY = h * factor + border;
  const image = greyImage(columns * stepX + border, rows * stepY + border, white);
  const frame = new Uint8Array((stepX + border) * (stepY + border)).fill(black);
  for (let unit = 0; unit < units; unit++) {
    const tile = weightGreys(weight.subarray(unit * h * w, (unit + 1) * h * w));
    const left = (unit % columns) * stepX;
    const top = Math.floor(unit / columns) * stepY;
    // Neighbours share their border; a cell without a unit has none.
    drawTile(image, frame, [stepY + border, stepX + border], left, top, 1);
    drawTile(image, tile, image_shape, left + border, top + border, factor);
  }
  await saveGreyImage(file, image);
}
