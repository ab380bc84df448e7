import { DataError } from '../../sae/errors.js';
import { greys, meanSquaredError, rangeOf } from '../../sae/insight/pictures.js';
import type { ImageShape } from '../../sae/rows/dataset.js';
import { product } from '../../sae/rows/formats/array.js';
import { drawTile, raster, saveRaster } from './save.js';
import { drawTexts, text } from './texts.js';

/** Rows of a data set and their reconstructions, both normalised, [count, ...image_shape]. */
export interface Samples {
  readonly originals: Float32Array;
  readonly reconstructions: Float32Array;
  /** Both in the units in which they are drawn; by default normalised. */
  readonly shown?: readonly [originals: Float32Array, reconstructions: Float32Array];
  readonly count: number;
  readonly image_shape: ImageShape;
}

// All in pixels. A README shows about 900 without scaling.
const maxWidth = 1040;
const maxTile = 160;
const maxColumns = 10;
const margin = 16;
const labelWidth = 118;
const gap = 4;
/** The least height of a row, for its label. */
const minRow = 18;
const captionHeight = 20;
const bandGap = 20;
/** Below narrower tiles captions would overlap. */
const minCaptionTile = 44;

/**
 * Writes a PNG: originals above, their reconstructions below, and below each pair its mean squared error, in normalised
 * units as in the metrics. More than ten samples are wrapped. All tiles have the same scale, also of red, green and blue: black
 * is the smallest value of the originals as they are shown, white their largest, and reconstructions are clamped to that range.
 * @throws DataError if there is no sample or an array's length does not fit; EngineError if the file cannot be written.
 */
export async function writePlot(file: string, samples: Samples): Promise<void> {
  const { originals, reconstructions, count, image_shape } = samples;
  const [drawn, redrawn] = samples.shown ?? [originals, reconstructions];
  const [h, w, channels = 1] = image_shape;
  const size = product(image_shape);
  if (count < 1 || originals.length !== count * size || reconstructions.length !== count * size) {
    throw new DataError(
      `A plot of ${count} samples of ${image_shape.join(' x ')} values needs at least one sample and ${count * size} values of each ` +
        `kind, not ${originals.length} of originals and ${reconstructions.length} of reconstructions.`,
    );
  }
  const range = rangeOf(drawn);
  const { bands, columns, factor } = layout(count, image_shape);
  const tileWidth = w * factor;
  const tileHeight = h * factor;
  const captions = tileWidth >= minCaptionTile;
  const rowHeight = Math.max(minRow, tileHeight);
  const bandHeight = 2 * rowHeight + gap + (captions ? captionHeight : 0);
  const image = raster(
    2 * margin + labelWidth + columns * (tileWidth + gap) - gap,
    2 * margin + bands * (bandHeight + bandGap) - bandGap,
    channels,
  );
  for (let band = 0; band < bands; band++) {
    const top = margin + band * (bandHeight + bandGap);
    const above = top + Math.floor((rowHeight - tileHeight) / 2);
    const labelRight = margin + labelWidth - 10;
    const texts = [
      text('original', labelRight, rowHeight / 2 + 5, 'end', 13),
      text('reconstruction', labelRight, rowHeight + gap + rowHeight / 2 + 5, 'end', 13),
    ];
    if (captions) texts.push(text('MSE', labelRight, bandHeight - 4, 'end', 11));
    for (let i = band * columns; i < Math.min(count, (band + 1) * columns); i++) {
      const own = (values: Float32Array) => values.subarray(i * size, (i + 1) * size);
      const left = margin + labelWidth + (i - band * columns) * (tileWidth + gap);
      drawTile(image, greys(own(drawn), range), [h, w], left, above, factor);
      drawTile(image, greys(own(redrawn), range), [h, w], left, above + rowHeight + gap, factor);
      if (captions) {
        const mse = meanSquaredError(own(originals), own(reconstructions)).toPrecision(3);
        texts.push(text(mse, left + tileWidth / 2, bandHeight - 4, 'middle', 11));
      }
    }
    await drawTexts(image, top, bandHeight, texts);
  }
  await saveRaster(file, image);
}

/** The number of bands, of pairs in each, and of pixels along each side of one of the image. */
function layout(count: number, [h, w]: ImageShape) {
  const room = maxWidth - 2 * margin - labelWidth + gap;
  const fit = Math.max(1, Math.min(maxColumns, Math.floor(room / (w + gap))));
  const bands = Math.ceil(count / fit);
  const columns = Math.ceil(count / bands);
  const side = Math.min(maxTile / Math.max(h, w), (room / columns - gap) / w);
  return { bands, columns, factor: Math.max(1, Math.floor(side)) };
}
