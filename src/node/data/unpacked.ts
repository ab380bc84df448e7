import { tmpdir } from 'node:os';
import { DataError } from '../../sae/errors.js';
import type { RowFiles } from '../../sae/rows/decode.js';
import { grouped } from '../../sae/rows/formats/array.js';
import { type RowSource, valueBytes } from '../../sae/rows/source.js';
import { TemporaryFile } from '../temporary-file.js';

/**
 * Rows that can only be read from the first one on, written as they are decoded into a temporary file, of which any of them
 * can be read.
 * @throws DataError if it cannot be written, and what reading the rows throws.
 */
export async function unpackedRows(files: RowFiles): Promise<RowSource> {
  const { in_dims, type } = files;
  const file = TemporaryFile.make(tmpdir(), (why, cause, bytes) => {
    return new DataError(
      `${files.name} is unpacked into a temporary file in ${tmpdir()}, which cannot be written after ${grouped(bytes)} bytes: ` +
        `${why}. Set TMPDIR to a folder with more room, or unpack the rows yourself.`,
      { cause },
    );
  });
  for await (const piece of files.pieces()) await file.append(piece);
  const rowBytes = in_dims * valueBytes[type];
  return files.sourceOf({
    rows: file.bytes / rowBytes,
    async read(first, end, into) {
      const count = (end - first) * in_dims;
      const values = into ?? (type === 'u8' ? new Uint8Array(count) : new Float32Array(count));
      await file.read(first * rowBytes, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      return values;
    },
  });
}
