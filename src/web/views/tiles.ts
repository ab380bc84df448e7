import type { ImageShape } from '../../sae/index.js';
import { saveBlob } from '../browser/files.js';

/** Colours for the grey values 0 to 255, each an RGBA word. */
type Palette = Uint32Array;
export type PaletteName = 'rows' | 'weights';

const dark = matchMedia('(prefers-color-scheme: dark)');
let palettes = readPalettes();

/** Calls `redraw` when the system changes between light and dark, after the palettes have changed. */
export function onThemeChange(redraw: () => void): void {
  dark.addEventListener('change', () => {
    palettes = readPalettes();
    redraw();
  });
}

/** Rows have the colours of ink on paper, weights those from negative through zero to positive. */
function readPalettes(): Record<PaletteName, Palette> {
  return {
    rows: palette(cssColours('--paper', '--ink')),
    weights: palette(cssColours('--below', '--zero', '--above')),
  };
}

/** Colours of the style sheet, as #rrggbb. */
export function cssColours(...names: string[]): string[] {
  const style = getComputedStyle(document.documentElement);
  return names.map((name) => style.getPropertyValue(name).trim());
}

/** Interpolates between colours at equal distances. */
function palette(stops: string[]): Palette {
  const gradient = document.createElement('canvas').getContext('2d')!;
  gradient.canvas.width = 256;
  gradient.canvas.height = 1;
  const fill = gradient.createLinearGradient(0, 0, 256, 0);
  stops.forEach((stop, i) => {
    fill.addColorStop(i / (stops.length - 1), stop);
  });
  gradient.fillStyle = fill;
  gradient.fillRect(0, 0, 256, 1);
  return new Uint32Array(gradient.getImageData(0, 0, 256, 1).data.buffer);
}

/** Draws values from 0 to 255, [...shape], row-major: greys in the palette's colours, one pixel each, and red, green and blue as they are. */
export function paint(
  canvas: HTMLCanvasElement,
  values: Uint8Array,
  [height, width, channels]: ImageShape,
  name: PaletteName,
): void {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  const colours = palettes[name];
  if (channels) {
    image.data.fill(255);
    for (let i = 0; i < values.length; i++) image.data[4 * Math.floor(i / 3) + (i % 3)] = values[i];
  } else {
    for (let i = 0; i < words.length; i++) {
      words[i] = colours[values[i]];
    }
  }
  context.putImageData(image, 0, 0);
}

/** Saves pictures as one PNG, `columns` in a row, enlarged, in the page's colours. */
export function savePictures(name: string, canvases: readonly HTMLCanvasElement[], columns: number): void {
  const { width, height } = canvases[0];
  const scale = Math.max(1, Math.round(112 / Math.max(width, height)));
  const gap = 8;
  const sheet = document.createElement('canvas');
  sheet.width = columns * (width * scale + gap) + gap;
  sheet.height = Math.ceil(canvases.length / columns) * (height * scale + gap) + gap;
  const context = sheet.getContext('2d')!;
  [context.fillStyle] = cssColours('--card');
  context.fillRect(0, 0, sheet.width, sheet.height);
  context.imageSmoothingEnabled = false;
  canvases.forEach((canvas, i) => {
    const left = gap + (i % columns) * (width * scale + gap);
    const top = gap + Math.floor(i / columns) * (height * scale + gap);
    context.drawImage(canvas, left, top, width * scale, height * scale);
  });
  sheet.toBlob((blob) => blob && saveBlob(name, blob), 'image/png');
}
