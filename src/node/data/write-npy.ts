import { open, rename, rm, stat } from 'node:fs/promises';
import { npyHeader } from '../../sae/data/npy.js';
import { DataError } from '../../sae/errors.js';
import { describeFileError } from './files.js';

/**
 * Writes f32 rows as a .npy file, [shape[0], shape[1]] row-major, block by block: only one block is in memory. They go to
 * a temporary file beside it that is flushed and renamed at the end, so that `file` is the old one or whole. Throws
 * DataError where it cannot be written, and whatever `blocks` throws.
 */
export async function writeNpy(
  file: string,
  shape: readonly [rows: number, values: number],
  blocks: AsyncIterable<Float32Array> | Iterable<Float32Array>,
): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  const unwritable = (error: unknown) =>
    new DataError(`${file} cannot be written: ${describeFileError(error)}.`, { cause: error });
  // Renaming onto a folder fails, but only at the end, after all the work.
  if ((await stat(file).catch(() => undefined))?.isDirectory()) {
    throw new DataError(`${file} cannot be written: it is a folder. Name a file.`);
  }
  const handle = await open(temporary, 'w').catch((error) => {
    throw unwritable(error);
  });
  let finished = false;
  try {
    const write = (bytes: Uint8Array) =>
      handle.writeFile(bytes).catch((error) => {
        throw unwritable(error);
      });
    await write(npyHeader(shape));
    let written = 0;
    for await (const block of blocks) {
      written += block.length;
      await write(new Uint8Array(block.buffer, block.byteOffset, block.byteLength));
    }
    if (written !== shape[0] * shape[1]) {
      throw new RangeError(`writeNpy got ${written} values for the shape (${shape.join(', ')}).`);
    }
    await handle.sync().catch((error) => {
      throw unwritable(error);
    });
    finished = true;
  } finally {
    await handle.close();
    if (!finished) await rm(temporary, { force: true });
  }
  await rename(temporary, file).catch(async (error) => {
    await rm(temporary, { force: true });
    throw unwritable(error);
  });
}
