import { weightGreys } from '../../sae/insight/pictures.js';
import type { ImageShape } from '../../sae/rows/dataset.js';
import { border } from './grid.js';
import { drawTile, type Raster } from './save.js';

/** The decoder directions of a model's latents, and how often each latent is active. */
export interface Drawings {
  /** The change of the reconstruction when a latent alone goes from 0 to 1: [latents, ...image_shape]. */
  readonly drawings: Float32Array;
  /** The share of rows that each latent is active for, [latents]. */
  readonly densities: Float64Array;
  /** The number of rows on which that was measured, and of all rows, of which they are a sample. */
  readonly rows: number;
  readonly rowsInAll: number;
  readonly image_shape: ImageShape;
}

type Colour = readonly [red: number, green: number, blue: number];

/** The colours of negative, zero and positive values: those of the page's light theme, safe for the colour-blind. */
export const diverging: readonly [Colour, Colour, Colour] = [
  [0x1d, 0x5f, 0xa8],
  [0xf4, 0xf4, 0xf6],
  [0xc2, 0x4a, 0x00],
];
const frameGrey = 0x70;
const crossGrey = 0x20;
/** The grey of a dead latent's largest value; its zero is white. */
const deadGrey = 0xa6;

/** How a latent's tile is drawn: each pixel of the image is a square of `factor` pixels. */
export interface TileStyle {
  readonly image_shape: ImageShape;
  readonly factor: number;
}

/**
 * Draws a latent's decoder direction, [...image_shape], with a frame that begins at (x, y): in colours, scaled by its own
 * largest magnitude; in grey and crossed out if the latent is dead. Greys are drawn in the diverging colours; red, green and
 * blue as themselves, about a middle grey that stands for zero.
 */
export function drawLatent(
  image: Raster,
  values: Float32Array,
  dead: boolean,
  x: number,
  y: number,
  { image_shape, factor }: TileStyle,
): void {
  const [h, w, channels] = image_shape;
  const [width, height] = [w * factor, h * factor];
  fill(image, frameGrey, x, y, width + 2 * border, height + 2 * border);
  const tile = dead
    ? tileOf(channels ? magnitudes(values) : values, paleGreys)
    : channels
      ? weightGreys(values)
      : tileOf(values, colours);
  drawTile(image, tile, [h, w], x + border, y + border, factor);
  if (dead) {
    drawCross(image, x + border, y + border, width, height);
  }
}

/** Values as red, green and blue, in the colours between negative, zero and positive. */
export function colourTile(values: Float32Array): Uint8Array {
  return tileOf(values, colours);
}

/** Three bytes for each of the values of `weightGreys`. */
type Palette = Uint8Array;

const colours = palette((share, channel) => {
  const [below, zero, above] = diverging;
  const end = share < 0 ? below : above;
  return zero[channel] + Math.abs(share) * (end[channel] - zero[channel]);
});
const paleGreys = palette((share) => 255 + Math.abs(share) * (deadGrey - 255));

/** @param colour returns a channel's value for a share, -1 to 1, of the largest magnitude. */
function palette(colour: (share: number, channel: number) => number): Palette {
  return Uint8Array.from({ length: 3 * 256 }, (_, i) => {
    const share = Math.max(-1, (Math.floor(i / 3) - 128) / 127);
    return Math.round(colour(share, i % 3));
  });
}

function tileOf(values: Float32Array, palette: Palette): Uint8Array {
  const greys = weightGreys(values);
  const bytes = new Uint8Array(3 * greys.length);
  for (let i = 0; i < greys.length; i++) {
    bytes[3 * i] = palette[3 * greys[i]];
    bytes[3 * i + 1] = palette[3 * greys[i] + 1];
    bytes[3 * i + 2] = palette[3 * greys[i] + 2];
  }
  return bytes;
}

/** The largest magnitude among the channels of each pixel. */
function magnitudes(values: Float32Array): Float32Array {
  return Float32Array.from({ length: values.length / 3 }, (_, i) =>
    Math.max(...values.subarray(3 * i, 3 * i + 3).map(Math.abs)),
  );
}

function fill(image: Raster, grey: number, x: number, y: number, width: number, height: number): void {
  drawTile(image, new Uint8Array(3 * width * height).fill(grey), [height, width], x, y, 1);
}

/** Draws both diagonals of a rectangle. */
function drawCross(image: Raster, left: number, top: number, width: number, height: number): void {
  const last = Math.max(1, Math.max(width, height) - 1);
  const thickness = Math.max(1, Math.round(Math.min(width, height) / 48));
  for (let i = 0; i <= last; i++) {
    const x = Math.round((i / last) * (width - thickness));
    const y = Math.round((i / last) * (height - thickness));
    fill(image, crossGrey, left + x, top + y, thickness, thickness);
    fill(image, crossGrey, left + width - thickness - x, top + y, thickness, thickness);
  }
}
