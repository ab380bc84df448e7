import { DataError } from '../../sae/errors.js';
import { greys, meanSquaredError, rangeOf } from '../../sae/pictures.js';
import { loadSharp, textSvg } from './fonts.js';
import { drawTile, type GreyImage, greyImage, saveGreyImage } from './save.js';

/** Rows of a data set and what a model makes of them, both [count, h * w] in the model's input units. */
export interface Samples {
  readonly originals: Float32Array;
  readonly reconstructions: Float32Array;
  readonly count: number;
  readonly image_shape: readonly [number, number];
}

// All in pixels. A README shows some 900 without shrinking the picture much.
const maxWidth = 1040;
const maxTile = 160;
const maxColumns = 10;
const margin = 16;
const labelWidth = 118;
const gap = 4;
/** Room for a label beside a tile that is lower. */
const minRow = 18;
const captionHeight = 20;
const bandGap = 20;
/** A caption under a narrower tile would run into its neighbour's. */
const minCaptionTile = 44;

/**
 * Writes a PNG: originals above, their reconstructions below, and under each pair its mean squared error (in the
 * model's input units, as in the metrics). More than ten samples are wrapped. One grey scale serves all tiles: black
 * is the smallest value of the originals, white their largest, and a reconstruction is clamped to that range.
 * @throws DataError when there is no sample or an array's length does not fit; EngineError when the file cannot be
 *   written.
 */
export async function writePlot(file: string, samples: Samples): Promise<void> {
  const { originals, reconstructions, count, image_shape } = samples;
  const [h, w] = image_shape;
  const size = h * w;
  if (count < 1 || originals.length !== count * size || reconstructions.length !== count * size) {
    throw new DataError(
      `A plot of ${count} samples of ${h} x ${w} values needs at least one sample and ${count * size} values of each ` +
        `kind, not ${originals.length} of originals and ${reconstructions.length} of reconstructions.`,
    );
  }
  const range = rangeOf(originals);
  const { bands, columns, factor } = layout(count, image_shape);
  const tileWidth = w * factor;
  const tileHeight = h * factor;
  const captions = tileWidth >= minCaptionTile;
  const rowHeight = Math.max(minRow, tileHeight);
  const bandHeight = 2 * rowHeight + gap + (captions ? captionHeight : 0);
  const image = greyImage(
    2 * margin + labelWidth + columns * (tileWidth + gap) - gap,
    2 * margin + bands * (bandHeight + bandGap) - bandGap,
    255,
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
      const original = originals.subarray(i * size, (i + 1) * size);
      const reconstruction = reconstructions.subarray(i * size, (i + 1) * size);
      const left = margin + labelWidth + (i - band * columns) * (tileWidth + gap);
      drawTile(image, greys(original, range), image_shape, left, above, factor);
      drawTile(image, greys(reconstruction, range), image_shape, left, above + rowHeight + gap, factor);
      if (captions) {
        const mse = meanSquaredError(original, reconstruction).toPrecision(3);
        texts.push(text(mse, left + tileWidth / 2, bandHeight - 4, 'middle', 11));
      }
    }
    await drawTexts(image, top, bandHeight, texts);
  }
  await saveGreyImage(file, image);
}

/** How many rows of pairs, how many pairs in each, and by what whole factor a value's square is enlarged. */
function layout(count: number, [h, w]: readonly [number, number]) {
  const room = maxWidth - 2 * margin - labelWidth + gap;
  const fit = Math.max(1, Math.min(maxColumns, Math.floor(room / (w + gap))));
  const bands = Math.ceil(count / fit);
  const columns = Math.ceil(count / bands);
  const side = Math.min(maxTile / Math.max(h, w), (room / columns - gap) / w);
  return { bands, columns, factor: Math.max(1, Math.floor(side)) };
}

function text(words: string, x: number, baseline: number, anchor: 'end' | 'middle', size: number): string {
  return `<text x="${x}" y="${baseline}" text-anchor="${anchor}" font-size="${size}">${words}</text>`;
}

/** Draws black text into the lines of `image` from `top` on; where tiles are, only pixels under letters change. */
async function drawTexts(
  image: GreyImage,
  top: number,
  height: number,
  texts: readonly string[],
): Promise<void> {
  const sharp = await loadSharp();
  const ink = await sharp(textSvg(image.width, height, texts))
    .extractChannel('alpha')
    .raw()
    .toBuffer();
  for (let i = 0; i < ink.length; i++) {
    if (ink[i])
      image.pixels[top * image.width + i] = Math.round(
        (image.pixels[top * image.width + i] * (255 - ink[i])) / 255,
      );
  }
}
