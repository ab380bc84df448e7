import { weightGreys } from '../../sae/insight/pictures.js';
import { colourTile, type Drawings, drawLatent } from './latent-tile.js';
import { drawTile, type Raster } from './save.js';
import { drawTexts, text } from './texts.js';

// All in pixels, before scaling.
const titleLetters = 15;
const letters = 12;
const bar = { top: 48, width: 255, height: 14 } as const;
const swatch = 13;
export const legendHeight = 142;
/** The width of its longest line. */
export const legendWidth = 560;

/**
 * Draws the legend of `writeDrawings`, with a colour bar, from (left, top) on.
 * @param captions whether the tiles have captions.
 */
export async function drawLegend(
  image: Raster,
  { drawings, densities, rows, rowsInAll, image_shape }: Drawings,
  { left, top, scale, captions }: { left: number; top: number; scale: number; captions: boolean },
): Promise<void> {
  const px = (length: number) => Math.round(length * scale);
  const at = (
    x: number,
    y: number,
    words: string,
    anchor: 'start' | 'middle' | 'end' = 'start',
    size = letters,
  ) => text(words, left + px(x), px(y), anchor, px(size));

  const [height, width] = [px(bar.height), px(bar.width)];
  const coloured = image_shape.length === 3;
  const ramp = Float32Array.from({ length: height * width }, (_, i) => (i % width) - (width - 1) / 2);
  const tile = coloured ? ramps(ramp, height) : colourTile(ramp);
  drawTile(image, tile, [height, width], left, top + px(bar.top), 1);

  const latents = densities.length;
  const dead = densities.filter((density) => density === 0).length;
  if (dead > 0) {
    const style = { image_shape: [1, 1], factor: px(swatch) } as const;
    drawLatent(image, Float32Array.of(0), true, left, top + px(117), style);
  }
  const of = rows === rowsInAll ? `all ${count(rows)}` : `${count(rows)} of ${count(rowsInAll)}`;
  const share = `the share of rows that it is active for (${of})`;
  await drawTexts(image, top, px(legendHeight), [
    at(0, 15, 'Decoder direction of each latent, most often active first', 'start', titleLetters),
    at(
      0,
      36,
      `Change of the reconstruction${coloured ? ', in red, green and blue,' : ''} when the latent alone goes from 0 to 1`,
    ),
    at(0, 76, '−1'),
    at(bar.width / 2, 76, '0', 'middle'),
    at(bar.width, 76, '+1', 'end'),
    at(bar.width + 16, 59, `0${coloured ? ', grey' : ''}: no change. ±1: the tile’s own largest,`),
    at(bar.width + 16, 76, `which is ${largest(drawings, latents)} in normalised units`),
    at(0, 104, captions ? `Below a tile: the latent, and ${share}` : `How often: ${share}`),
    dead > 0
      ? at(22, 128, `Dead, active for none of these rows: ${count(dead)} of ${count(latents)}`)
      : at(0, 128, `Dead, active for none of these rows: 0 of ${count(latents)}`),
  ]);
}

/** A ramp for each of red, green and blue, above each other: the others are at zero there. */
function ramps(ramp: Float32Array, height: number): Uint8Array {
  const width = ramp.length / height;
  const values = new Float32Array(3 * ramp.length);
  ramp.forEach((value, i) => {
    values[3 * i + Math.floor((3 * Math.floor(i / width)) / height)] = value;
  });
  return weightGreys(values);
}

/** The range of the latents' own largest magnitudes. */
function largest(drawings: Float32Array, latents: number): string {
  const size = drawings.length / latents;
  const own = Float64Array.from({ length: latents }, (_, latent) =>
    drawings
      .subarray(latent * size, (latent + 1) * size)
      .reduce((most, value) => Math.max(most, Math.abs(value)), 0),
  ).sort();
  const [least, most] = [own[0], own[latents - 1]].map((value) => Number(value.toPrecision(3)));
  return least === most ? String(most) : `${least} to ${most}`;
}

function count(value: number): string {
  return value.toLocaleString('en');
}
