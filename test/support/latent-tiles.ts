import { readFileSync } from 'node:fs';
import sharp from 'sharp';

type Rgb = readonly number[];

/** The colours of negative, zero and positive values that the page's style sheet has on light ground. */
export function pageColours(): { below: Rgb; zero: Rgb; above: Rgb } {
  const css = readFileSync(new URL('../../src/web/style/base.css', import.meta.url), 'utf8');
  const colour = (name: string) => {
    const [, hex] = new RegExp(`--${name}: #([0-9a-f]{6});`).exec(css)!;
    return [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  };
  return { below: colour('below'), zero: colour('zero'), above: colour('above') };
}

/** A picture of what latents draw, taken apart by what is seen in it: its frames are the only pixels of their grey. */
export async function latentTiles(file: string, [h, w]: readonly [number, number], latents: number) {
  const { data, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels !== 3) throw new Error(`a picture in colour has 3 channels, not ${channels}`);
  const pixel = (x: number, y: number): Rgb => [
    ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
  ];
  const frame = (x: number, y: number) => pixel(x, y).every((value) => value === 0x70);

  // The first run of a frame that is longer than the legend's dead tile is the upper edge of the tiles.
  let [left, right, top] = [0, 0, 0];
  const shortest = 16;
  for (; top < height && right - left < shortest; top++) {
    for (left = 0; left < width && !frame(left, top); left++);
    for (right = left; right < width && frame(right, top); right++);
  }
  top -= 1;
  const edges = Array.from({ length: right - left }, (_, i) => left + i).filter((x) => frame(x, top + 1));
  const columns = edges.length - 1;
  const step = edges[1] - edges[0];
  const factor = (step - 1) / w;
  const tops: number[] = [];
  for (let y = top; y + h * factor + 1 < height; y++) {
    if (frame(left + 1, y) && frame(left, y + 1) && frame(left + 1, y + h * factor + 1)) tops.push(y);
  }
  const corner = (i: number) => ({ x: edges[i % columns] + 1, y: tops[Math.floor(i / columns)] + 1 });
  /** The pixel in the middle of a value's square. */
  const colour = (tile: number, value: number) => {
    const { x, y } = corner(tile);
    const middle = Math.floor(factor / 2);
    return pixel(
      x + (value % w) * factor + middle,
      y + Math.floor(value / w) * factor + middle - (factor > 2 ? 1 : 0),
    );
  };
  return { width, height, pixel, factor, columns, tops, left, top, corner, colour, latents };
}

/** By how much a tile's colours differ at most from those of some values, scaled by their own largest magnitude. */
export function colourDifference(colours: readonly Rgb[], values: ArrayLike<number>): number {
  const { below, zero, above } = pageColours();
  const largest = Math.max(...Array.from(values, Math.abs)) || 1;
  let worst = 0;
  colours.forEach((colour, i) => {
    const share = values[i] / largest;
    const end = share < 0 ? below : above;
    for (let channel = 0; channel < 3; channel++) {
      const expected = zero[channel] + Math.abs(share) * (end[channel] - zero[channel]);
      worst = Math.max(worst, Math.abs(colour[channel] - expected));
    }
  });
  return worst;
}
