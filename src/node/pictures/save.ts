import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { EngineError } from '../../gpu/errors.js';
import { makeFolder } from '../folder.js';
import { writeWhole } from '../write-file.js';
import { loadSharp } from './fonts.js';

/** An 8-bit picture in memory, grey or RGB: [height, width, channels], row-major. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly pixels: Uint8Array;
}

/** A white picture. */
export function raster(width: number, height: number, channels: 1 | 3): Raster {
  return { width, height, channels, pixels: new Uint8Array(width * height * channels).fill(255) };
}

/**
 * Copies `tile`, [rows, columns, channels] values, to (left, top) of `image`. Every value becomes a square of `factor`
 * by `factor` pixels, without interpolation.
 */
export function drawTile(
  image: Raster,
  tile: Uint8Array,
  [rows, columns]: readonly [number, number],
  left: number,
  top: number,
  factor: number,
): void {
  const { width, channels, pixels } = image;
  const line = new Uint8Array(columns * factor * channels);
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < columns * factor; x++) {
      const from = (row * columns + Math.floor(x / factor)) * channels;
      for (let channel = 0; channel < channels; channel++)
        line[x * channels + channel] = tile[from + channel];
    }
    for (let y = 0; y < factor; y++) {
      pixels.set(line, ((top + row * factor + y) * width + left) * channels);
    }
  }
}

/** By it, a picture of this program is told from another one: the PNG specification's text chunk for the program's name. */
const signature = 'Software\0webgpu-sae';
/** The PNG's own signature and its header. */
const headBytes = 8 + 25;

function signed(png: Buffer): Buffer {
  const chunk = Buffer.alloc(12 + signature.length);
  chunk.writeUInt32BE(signature.length);
  chunk.write(`tEXt${signature}`, 4, 'latin1');
  chunk.writeUInt32BE(crc32(chunk.subarray(4, -4)), chunk.length - 4);
  return Buffer.concat([png.subarray(0, headBytes), chunk, png.subarray(headBytes)]);
}

/** Whether this program drew a picture that begins so. */
export function isOurPicture(content: Uint8Array): boolean {
  return Buffer.from(content)
    .toString('latin1', headBytes + 8)
    .startsWith(signature);
}

/** Encodes a picture as PNG and saves it; see `savePicture`. */
export async function saveRaster(file: string, { width, height, channels, pixels }: Raster): Promise<void> {
  const sharp = await loadSharp();
  const picture = sharp(pixels, { raw: { width, height, channels }, limitInputPixels: false });
  await savePicture(
    file,
    await picture
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .png()
      .toBuffer(),
  );
}

/**
 * Writes a picture, and makes its folder if needed. A kill or a full disk leaves the old file or the new one.
 * @throws EngineError if it cannot be written.
 */
export async function savePicture(file: string, bytes: Buffer): Promise<void> {
  await makeFolder(dirname(file));
  await writeWhole(file, [signed(bytes)], (why, cause) => {
    return new EngineError(
      `The picture ${file} cannot be written (${why}). Choose a folder that can be written, or make room on the disk.`,
      { cause },
    );
  });
}
