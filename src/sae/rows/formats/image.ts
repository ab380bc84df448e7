import { DataError } from '../../errors.js';
import { counted, grouped } from './array.js';
import type { OpenedRows, RowFormat, RowsFile } from './file.js';
import { otherWidth } from './headed.js';
import { type ImageDecoder, writeGreys } from './pixels.js';

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

/** The sizes of most images are in so much of their beginning. */
const startBytes = 2 ** 16;

/** An image: one row of grey values of 8 bits, stretched to `image_shape` or `trained_shape` if one is given. */
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
    const own = await sizeOf(file, decoder);
    const shape = options.image_shape ?? trained_shape ?? own;
    const in_dims = shape[0] * shape[1];
    if (expected !== undefined && in_dims !== expected) throw otherWidth(name, in_dims, expected);
    const at = async (first: number, end: number) => {
      const row = new Uint8Array((end - first) * in_dims);
      if (first === end) return row;
      const bytes = await bytesOf(file);
      const pixels = await decoder.pixels(bytes, shape).catch((error) => {
        throw unreadable(name, error);
      });
      if (pixels.length !== 4 * in_dims) {
        throw new DataError(
          `${name} was decoded to ${counted(pixels.length, 'byte')}; expected ${grouped(4 * in_dims)}, red, green, blue and alpha.`,
        );
      }
      writeGreys(pixels, row);
      return row;
    };
    return {
      file: name,
      type: 'u8',
      element: 'u8',
      rows: 1,
      in_dims,
      image_shape: shape,
      notes:
        own.join() === shape.join()
          ? []
          : [
              {
                about: 'shape',
                sentence: `${name} has ${own.join(' x ')} pixels (height x width), and is resized to ${shape.join(' x ')}.`,
              },
            ],
      at,
      async *pieces() {
        yield await at(0, 1);
      },
    };
  },
};

async function sizeOf(file: RowsFile, decoder: ImageDecoder): Promise<readonly [number, number]> {
  const start = await bytesOf(file, startBytes);
  try {
    return await decoder.size(start);
  } catch (error) {
    if (start.length < startBytes) throw unreadable(file.name, error);
  }
  // A TIFF may say it at its end.
  return decoder.size(await bytesOf(file)).catch((error) => {
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
