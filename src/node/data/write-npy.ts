import { DataError } from '../../sae/errors.js';
import { npyHeader } from '../../sae/rows/formats/npy.js';
import { writeWhole } from '../write-file.js';

/**
 * Writes f32 rows as a .npy file, [shape[0], shape[1]] row-major, block by block: only one block is in memory. After a
 * failure the old file is still there.
 * @throws DataError if it cannot be written, and whatever `blocks` throws.
 */
export async function writeNpy(
  file: string,
  shape: readonly [rows: number, values: number],
  blocks: AsyncIterable<Float32Array> | Iterable<Float32Array>,
): Promise<void> {
  async function* parts() {
    yield npyHeader(shape);
    let written = 0;
    for await (const block of blocks) {
      written += block.length;
      yield new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
    }
    if (written !== shape[0] * shape[1]) {
      throw new RangeError(`writeNpy got ${written} values for the shape (${shape.join(', ')}).`);
    }
  }
  await writeWhole(file, parts(), (why, cause) => {
    return new DataError(`${file} cannot be written: ${why}.`, { cause });
  });
}
