import { product } from '../../rows/formats/array.js';
import type { ImageShape } from '../../rows/rows.js';
import type { Pictures } from './layout.js';

/** Makes pixels into a file of an image format: [height, width, channels]. */
export type EncodeImage = (
  pixels: Uint8Array<ArrayBuffer>,
  width: number,
  height: number,
  channels: 1 | 3,
) => Promise<Uint8Array<ArrayBuffer>>;

/** Tiles of a sheet: few enough that one which is needed is quick to decode. */
const [tiles, columns] = [64, 8];
/** The longer side of a tile in pixels: the largest for which pictures fit. */
const sides = [32, 28, 24, 20, 16, 12, 8] as const;
/** Sheets by which it is told how large all of them are. */
const tried = 8;

/** Pictures that are encoded, and what the report says of them, except where sheets are in the file. */
export interface EncodedPictures {
  readonly sheets: readonly Uint8Array<ArrayBuffer>[];
  readonly described: Omit<Pictures, 'sheets' | 'type'>;
}

/**
 * Encodes tiles in sheets, as large as fits.
 * @param count of tiles.
 * @param read returns the tiles from `first` up to, not including, `end`, as bytes [tiles, ...shape].
 * @param most bytes of all sheets. The smallest tiles are taken even if they need more.
 */
export async function encodePictures(
  count: number,
  shape: ImageShape,
  read: (first: number, end: number) => Promise<Uint8Array>,
  encode: EncodeImage,
  most: number,
): Promise<EncodedPictures> {
  const sheets = Math.ceil(count / tiles);
  const channels = shape.length > 2 ? 3 : 1;
  const sheetOf = async (sheet: number, { width, height }: Size): Promise<Uint8Array<ArrayBuffer>> => {
    const first = sheet * tiles;
    const end = Math.min(count, first + tiles);
    const bytes = await read(first, end);
    const rows = Math.ceil((end - first) / columns);
    const pixels = new Uint8Array(rows * height * columns * width * channels);
    const size = product(shape);
    for (let tile = 0; tile < end - first; tile++) {
      const small = shrunk(bytes.subarray(tile * size, (tile + 1) * size), shape, { width, height });
      const [x, y] = [(tile % columns) * width, Math.floor(tile / columns) * height];
      for (let row = 0; row < height; row++) {
        const at = ((y + row) * columns * width + x) * channels;
        pixels.set(small.subarray(row * width * channels, (row + 1) * width * channels), at);
      }
    }
    return encode(pixels, columns * width, rows * height, channels);
  };
  const sample = Array.from({ length: Math.min(tried, sheets) }, (_, i) => {
    return Math.floor(((i + 0.5) * sheets) / Math.min(tried, sheets));
  });
  let size = sizeOf(shape, sides[0]);
  for (const side of sides) {
    size = sizeOf(shape, side);
    let bytes = 0;
    for (const sheet of sample) bytes += (await sheetOf(sheet, size)).length;
    if ((bytes * sheets) / sample.length <= most) break;
  }
  const encoded: Uint8Array<ArrayBuffer>[] = [];
  for (let sheet = 0; sheet < sheets; sheet++) encoded.push(await sheetOf(sheet, size));
  return { sheets: encoded, described: { ...size, channels, tiles, columns } };
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The size of tiles of images whose longer side is at most `side`; images are never made larger. */
function sizeOf([height, width]: ImageShape, side: number): Size {
  const factor = Math.min(1, side / Math.max(height, width));
  const scaled = (length: number) => Math.max(1, Math.round(length * factor));
  return { width: scaled(width), height: scaled(height) };
}

/** An image in fewer pixels, each the mean of those that it covers, by area. */
export function shrunk(pixels: Uint8Array, shape: ImageShape, size: Size): Uint8Array {
  const [height, width, channels = 1] = shape;
  if (size.width === width && size.height === height) return pixels;
  const across = spans(width, size.width);
  const out = new Uint8Array(size.width * size.height * channels);
  for (const [y, rows] of spans(height, size.height).entries()) {
    for (const [x, cells] of across.entries()) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        let area = 0;
        for (const [row, tall] of rows) {
          for (const [column, wide] of cells) {
            sum += tall * wide * pixels[(row * width + column) * channels + channel];
            area += tall * wide;
          }
        }
        out[(y * size.width + x) * channels + channel] = Math.round(sum / area);
      }
    }
  }
  return out;
}

/** For each of `count` equal parts of `length` places, the places that it covers, and how much of each. */
function spans(length: number, count: number): (readonly [place: number, share: number])[][] {
  return Array.from({ length: count }, (_, i) => {
    const [from, to] = [(i * length) / count, ((i + 1) * length) / count];
    const covered: [number, number][] = [];
    for (let place = Math.floor(from); place < Math.min(length, Math.ceil(to)); place++) {
      covered.push([place, Math.min(to, place + 1) - Math.max(from, place)]);
    }
    return covered;
  });
}
