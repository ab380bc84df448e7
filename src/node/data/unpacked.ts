import { mkdtempSync, openSync, read, rmSync, write } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DataError } from '../../sae/errors.js';
import type { RowFiles } from '../../sae/rows/decode.js';
import { grouped } from '../../sae/rows/formats/array.js';
import { type RowSource, valueBytes } from '../../sae/rows/source.js';
import { describeFileError } from './files.js';

const readAt = promisify(read);
const writeAt = promisify(write);

/**
 * Rows that can only be read from the first one on, written as they are decoded into a temporary file, of which any of them
 * can be read. The file has no name any more when this returns, where the system allows that, so nothing is left of it when
 * the process ends.
 * @throws DataError if it cannot be written, and what reading the rows throws.
 */
export async function unpackedRows(files: RowFiles): Promise<RowSource> {
  const { in_dims, type } = files;
  const folder = mkdtempSync(join(tmpdir(), 'sae-rows-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  const descriptor = openSync(join(folder, 'rows'), 'wx+');
  // Windows removes an open file at the end only.
  if (process.platform !== 'win32') remove();
  let bytes = 0;
  for await (const piece of files.pieces()) {
    for (let done = 0; done < piece.byteLength; ) {
      const left = new Uint8Array(piece.buffer, piece.byteOffset + done, piece.byteLength - done);
      const { bytesWritten } = await writeAt(descriptor, left, 0, left.length, bytes).catch(
        (error: unknown) => {
          throw new DataError(
            `${files.name} is unpacked into a temporary file in ${tmpdir()}, which cannot be written after ${grouped(bytes)} bytes: ` +
              `${describeFileError(error)}. Set TMPDIR to a folder with more room, or unpack the rows yourself.`,
            { cause: error },
          );
        },
      );
      done += bytesWritten;
      bytes += bytesWritten;
    }
  }
  const rowBytes = in_dims * valueBytes[type];
  return files.sourceOf({
    rows: bytes / rowBytes,
    async read(first, end) {
      const values =
        type === 'u8' ? new Uint8Array((end - first) * in_dims) : new Float32Array((end - first) * in_dims);
      const into = new Uint8Array(values.buffer);
      for (let filled = 0; filled < into.length; ) {
        const left = into.length - filled;
        const { bytesRead } = await readAt(descriptor, into, filled, left, first * rowBytes + filled);
        if (bytesRead === 0)
          throw new DataError(`The temporary file with the rows of ${files.name} was cut.`);
        filled += bytesRead;
      }
      return values;
    },
  });
}
