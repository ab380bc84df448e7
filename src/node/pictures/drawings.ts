import { DataError } from '../../sae/errors.js';
import { product } from '../../sae/rows/formats/array.js';
import { border, gridOf } from './grid.js';
import { type Drawings, drawLatent } from './latent-tile.js';
import { drawLegend, legendHeight, legendWidth } from './legend.js';
import { raster, saveRaster } from './save.js';
import { drawTexts, text } from './texts.js';

// All in pixels.
const margin = 16;
const mostLetters = 11;
const leastLetters = 8;
/** Widths in DejaVu Sans as shares of the font size: of digits and letters, and of other characters. */
const letterWidth = 0.64;
const otherWidths: Readonly<Record<string, number>> = { ' ': 0.32, '·': 0.32, '.': 0.32, '%': 0.95 };

/**
 * Writes a PNG with the decoder direction of every latent as a tile, the latent that is active most often first. Each
 * tile is scaled by its own largest magnitude, in the colours that the legend above explains. The latent's number, from
 * 1, and its density are below the tile if it is wide enough. Dead latents, active for none of the rows, come last, in
 * grey and crossed out. Tiles lie in a grid as `gridOf` says.
 * @throws DataError if an array's length does not fit; EngineError when the file cannot be written.
 */
export async function writeDrawings(file: string, features: Drawings): Promise<void> {
  const { drawings, densities, image_shape } = features;
  const size = product(image_shape);
  const latents = densities.length;
  if (latents < 1 || drawings.length !== latents * size) {
    throw new DataError(
      `The drawings of ${latents} latents of ${image_shape.join(' x ')} values need at least one latent and ` +
        `${latents * size} values, not ${drawings.length}.`,
    );
  }
  const order = [...densities.keys()].sort((a, b) => densities[b] - densities[a] || a - b);
  const { columns, rows, factor } = gridOf(latents, image_shape);
  const [tileHeight, tileWidth] = [image_shape[0] * factor, image_shape[1] * factor];
  const stepX = tileWidth + border;
  const gridWidth = columns * stepX + border;
  // A picture of more than 1000 pixels is usually shown smaller.
  const scale = Math.max(1, gridWidth / 1000);
  const captions = order.map((latent) => caption(latent, densities[latent]));
  const letters = captionLetters(tileWidth, captions, scale);
  const strip = letters ? Math.ceil(1.8 * letters) : 0;
  const stepY = tileHeight + border + strip;
  const top = margin + Math.ceil(legendHeight * scale);
  const image = raster(
    2 * margin + Math.max(gridWidth, Math.ceil(legendWidth * scale)),
    top + rows * stepY + border + margin,
    3,
  );
  await drawLegend(image, features, { left: margin, top: margin, scale, captions: letters !== undefined });
  for (let row = 0; row < rows; row++) {
    const y = top + row * stepY;
    const texts: string[] = [];
    for (let i = row * columns; i < Math.min(latents, (row + 1) * columns); i++) {
      const x = margin + (i % columns) * stepX;
      const values = drawings.subarray(order[i] * size, (order[i] + 1) * size);
      drawLatent(image, values, densities[order[i]] === 0, x, y, { image_shape, factor });
      if (letters) texts.push(text(captions[i], x + stepX / 2, 1.2 * letters, 'middle', letters));
    }
    if (letters) {
      await drawTexts(image, y + tileHeight + 2 * border, strip - border, texts);
    }
  }
  await saveRaster(file, image);
}

function caption(latent: number, density: number): string {
  return `${latent + 1} · ${density === 0 ? 'dead' : percent(density)}`;
}

function percent(share: number): string {
  return share.toLocaleString('en', { style: 'percent', maximumSignificantDigits: 2 });
}

/** The font size with which the longest caption fits below a tile; undefined if it would be too small to read. */
function captionLetters(tileWidth: number, captions: readonly string[], scale: number): number | undefined {
  const widthOf = (words: string) =>
    Array.from(words, (letter) => otherWidths[letter] ?? letterWidth).reduce((sum, width) => sum + width);
  // With a gap between neighbours.
  const widest = captions.reduce((most, words) => Math.max(most, widthOf(words)), 0) + letterWidth;
  const size = Math.min(Math.round(mostLetters * scale), Math.floor(tileWidth / widest));
  return size >= leastLetters * scale ? size : undefined;
}
