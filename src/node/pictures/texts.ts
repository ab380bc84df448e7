import { loadSharp, textSvg } from './fonts.js';
import type { Raster } from './save.js';

/** A line of text for `drawTexts`. It must not have characters that XML would need escaped. All in pixels. */
export function text(
  words: string,
  x: number,
  baseline: number,
  anchor: 'start' | 'middle' | 'end',
  size: number,
): string {
  return `<text x="${x}" y="${baseline}" text-anchor="${anchor}" font-size="${size}">${words}</text>`;
}

/** The widest picture that librsvg draws, in pixels. */
const widestText = 32_767;

/** Draws black text into the lines of `image` from `top` on; only the pixels of the letters change. */
export async function drawTexts(
  image: Raster,
  top: number,
  height: number,
  texts: readonly string[],
): Promise<void> {
  const { channels, pixels } = image;
  const width = Math.min(image.width, widestText);
  const sharp = await loadSharp();
  const ink = await sharp(textSvg(width, height, texts))
    .extractChannel('alpha')
    .raw()
    .toBuffer();
  for (let i = 0; i < ink.length; i++) {
    if (ink[i]) {
      const at = ((top + Math.floor(i / width)) * image.width + (i % width)) * channels;
      for (let channel = at; channel < at + channels; channel++) {
        pixels[channel] = Math.round((pixels[channel] * (255 - ink[i])) / 255);
      }
    }
  }
}
