import { dirname } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { EngineError } from '../../gpu/errors.js';
import { makeFolder } from '../folder.js';
import { loadSharp, reason } from './fonts.js';

/** An 8-bit grey picture in memory: row-major, [height, width], 0 black to 255 white. */
export interface GreyImage {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

export function greyImage(width: number, height: number, fill: number): GreyImage {
  return { width, height, pixels: new Uint8Array(width * height).fill(fill) };
}

/**
 * Copies `tile`, [rows, columns] grey values, to (left, top) of `image`, every value a square of `factor` by `factor`
 * pixels: nearest neighbour, so that what is seen is what the model sees.
 */
export function drawTile(
  image: GreyImage,
  tile: Uint8Array,
  [rows, columns]: readonly [number, number],
  left: number,
  top: number,
  factor: number,
): void {
  const line = new Uint8Array(columns * factor);
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < line.length; x++) line[x] = tile[row * columns + Math.floor(x / factor)];
    for (let y = 0; y < factor; y++) {
      image.pixels.set(line, (top + row * factor + y) * image.width + left);
    }
  }
}

/** Encodes a grey picture as PNG and saves it; see `savePicture`. */
export async function saveGreyImage(file: string, { width, height, pixels }: GreyImage): Promise<void> {
  const sharp = await loadSharp();
  const raw = { width, height, channels: 1 } as const;
  await savePicture(
    file,
    await sharp(pixels, { raw, limitInputPixels: false }).toColourspace('b-w').png().toBuffer(),
  );
}

/**
 * Writes a file, making its folder where there is none; a kill leaves the old file or the new one.
 * @throws EngineError when it cannot be written.
 */
export async function savePicture(file: string, bytes: Buffer): Promise<void> {
  await makeFolder(dirname(file));
  try {
    await writeFileAtomic(file, bytes);
  } catch (error) {
    throw new EngineError(
      `The picture ${file} cannot be written (${reason(error)}). Name a folder that can be written, or make room on the disk.`,
      { cause: error },
    );
  }
}
