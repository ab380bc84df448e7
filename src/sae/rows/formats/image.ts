import { DataError } from '../../errors.js';
import { counted, grouped, product } from './array.js';
import type { Note, OpenedRows, RowFormat, RowsFile } from './file.js';
import { otherWidth } from './headed.js';
import { type DescribedImage, type ImageDecoder, writeColours, writeGreys } from './pixels.js';

/** How formats begin, from the given byte on. */
const magics: readonly (readonly [at: number, text: string])[] = [
  [0, '\x89PNG\r\n\x1a\n'],
  [0, '\xff\xd8\xff'],
  [0, 'GIF8'],
  [8, 'WEBP'],
  [0, 'II*\0'],
  [0, 'MM\0*'],
  [4, 'ftypavif'],
];

/**
 * Pixels that an image may have, and for each byte of its file: the strongest packing of images makes any number of one colour out of a few
 * bytes.
 */
const [mostPixels, pixelsOfByte] = [2 ** 22, 4096];

/** The sizes of most images are in so much of their beginning. */
const startBytes = 2 ** 16;

/**
 * An image: one row of 8-bit values, stretched to `image_shape` or `trained_shape` if one is given. They are greys unless that has three
 * channels.
 */
export const image: RowFormat = {
  name: 'image',
  article: 'an',
  endings: /\.(png|jpe?g|gif|webp|tiff?|avif)$/i,
  recognizes: (head) =>
    magics.some(([at, text]) => [...text].every((sign, i) => head[at + i] === sign.charCodeAt(0))),
  async open(file, options): Promise<OpenedRows> {
    const { name } = file;
    const { image_decoder: decoder, trained_shape, in_dims: expected } = options;
    if (!decoder) {
      throw new DataError(
        `${name} is an image, and a file of rows was expected. imagesDataset makes rows of images.`,
      );
    }
    const { size: own, coloured } = await describedBy(file, decoder);
    const pixels = product(own);
    if (pixels > Math.max(mostPixels, pixelsOfByte * file.bytes)) {
      throw new DataError(
        `${name} claims ${own.join(' x ')} pixels (height x width), and its ${counted(file.bytes, 'byte')} cannot hold a picture of ` +
          'that size. It is damaged.',
      );
    }
    const wanted = options.image_shape ?? trained_shape;
    const shape = wanted ?? own;
    const [height, width, channels] = shape;
    const in_dims = product(shape);
    if (expected !== undefined && in_dims !== expected) throw otherWidth(name, in_dims, expected);
    const at = async (first: number, end: number) => {
      const row = new Uint8Array((end - first) * in_dims);
      if (first === end) return row;
      const bytes = await bytesOf(file);
      const pixels = await decoder.pixels(bytes, [height, width]).catch((error) => {
        throw unreadable(name, error);
      });
      if (pixels.length !== 4 * height * width) {
        throw new DataError(
          `${name} was decoded to ${counted(pixels.length, 'byte')}; expected ${grouped(4 * height * width)}, red, green, blue and alpha.`,
        );
      }
      (channels ? writeColours : writeGreys)(pixels, row);
      return row;
    };
    const notes: Note[] = [];
    if (own.join() !== [height, width].join()) {
      const sentence = `${name} has ${own.join(' x ')} pixels (height x width), and is resized to ${height} x ${width}.`;
      notes.push({ about: 'shape', sentence });
    }
    if (coloured && !wanted) {
      const sentence = `${name} is in colour, and is read as greys; --image_shape ${own.join()},3 keeps the colours.`;
      notes.push({ about: 'colours', sentence });
    }
    return {
      file: name,
      type: 'u8',
      element: 'u8',
      rows: 1,
      in_dims,
      image_shape: shape,
      notes,
      at,
      async *pieces() {
        yield await at(0, 1);
      },
    };
  },
};

async function describedBy(file: RowsFile, decoder: ImageDecoder): Promise<DescribedImage> {
  const start = await bytesOf(file, startBytes);
  try {
    return await decoder.describe(start);
  } catch (error) {
    if (start.length < startBytes) throw unreadable(file.name, error);
  }
  // A TIFF may say it at its end.
  return decoder.describe(await bytesOf(file)).catch((error) => {
    throw unreadable(file.name, error);
  });
}

/** Its bytes, or the first ones. */
async function bytesOf(file: RowsFile, most = Number.POSITIVE_INFINITY): Promise<Uint8Array<ArrayBuffer>> {
  if (!file.packed) {
    const all = new Uint8Array(Math.min(file.bytes, most));
    await file.read(0, all);
    return all;
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of file.stream()) {
    parts.push(chunk.subarray(0, most - length));
    length += parts[parts.length - 1].length;
    if (length >= most) break;
  }
  const bytes = new Uint8Array(length);
  let filled = 0;
  for (const part of parts) {
    bytes.set(part, filled);
    filled += part.length;
  }
  return bytes;
}

function unreadable(file: string, error: unknown): DataError {
  return new DataError(
    `${file} cannot be decoded as an image: ${(error as Error).message.split('\n')[0].replace(/\.$/, '')}. It is damaged, or of a ` +
      'kind that is not read here.',
    { cause: error },
  );
}
