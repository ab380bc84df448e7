import { DataError } from '../../sae/errors.js';
import { npyHeader } from '../../sae/rows/formats/npy.js';
import { safetensorsHeader } from '../../sae/rows/formats/safetensors-header.js';
import { writeWhole } from '../write-file.js';

/** Rows and values a row. */
export type RowsShape = readonly [rows: number, values: number];

/** Rows of f32, [any number, values], one after another. */
export type Blocks = AsyncIterable<Float32Array> | Iterable<Float32Array>;

/**
 * Writes f32 rows as a .npy file, [shape[0], shape[1]] row-major, block by block: only one block is in memory. After a
 * failure the old file is still there.
 * @throws DataError if it cannot be written, and whatever `blocks` throws.
 */
export async function writeNpy(file: string, shape: RowsShape, blocks: Blocks): Promise<void> {
  await writeDense(file, npyHeader(shape), shape, blocks);
}

/** Writes them as the only tensor of a safetensors file. @param tensor its name. @throws as `writeNpy`. */
export async function writeSafetensors(
  file: string,
  tensor: string,
  shape: RowsShape,
  blocks: Blocks,
): Promise<void> {
  const header = safetensorsHeader([{ name: tensor, dtype: 'F32', shape }], new Map());
  await writeDense(file, header, shape, blocks);
}

async function writeDense(file: string, header: Uint8Array, shape: RowsShape, blocks: Blocks): Promise<void> {
  async function* parts() {
    yield header;
    for await (const block of checked(blocks, shape)) {
      yield new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
    }
  }
  await writeWhole(file, parts(), (why, cause) => unwritable(file, why, cause));
}

/** The same blocks. @throws RangeError at their end if they are not so many values. */
export async function* checked(blocks: Blocks, [rows, width]: RowsShape): AsyncGenerator<Float32Array> {
  let values = 0;
  for await (const block of blocks) {
    values += block.length;
    yield block;
  }
  if (values !== rows * width) {
    throw new RangeError(`There are ${values} values for the shape (${rows}, ${width}).`);
  }
}

export function unwritable(file: string, why: string, cause: unknown): DataError {
  return new DataError(`${file} cannot be written: ${why}.`, { cause });
}
