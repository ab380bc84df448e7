import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { DataError } from '../../sae/errors.js';
import { grouped } from '../../sae/rows/formats/array.js';
import type { OpenOptions, RowsFile } from '../../sae/rows/formats/file.js';
import { type Packing, packingOf, unpackZstd } from '../../sae/rows/formats/packing.js';
import { statOf } from '../stat.js';
import { describeFileError, openDataFile } from './files.js';
import { hdf5, openHdf5 } from './hdf5.js';

/**
 * A file on disk.
 * @param called what it is called, and what it should be, in messages; by default its path, and a file of rows.
 * @throws DataError if it is not a readable, non-empty file.
 */
export async function rowsFile(
  file: string,
  called: { readonly name?: string; readonly expected?: string } = {},
): Promise<RowsFile> {
  const { name = file } = called;
  const { bytes, start, changed } = await openDataFile(file, called);
  const packed = packingOf(start);
  return {
    name,
    bytes,
    packed,
    stream: (begin, end) =>
      packed ? unpackedStream(stored(file), { bytes, packed }, name) : stored(file, begin, end),
    async read(begin, into) {
      // A format and its header are looked for several times, which takes long where files are many.
      if (begin === 0 && into.length <= Math.min(bytes, start.length))
        into.set(start.subarray(0, into.length));
      else await readAt(file, begin, into, { name, bytes, changed });
    },
    beside: async (other) => {
      const path = join(dirname(file), other);
      const there = await statOf(path).catch((error) => {
        throw readError(error, path);
      });
      return there && rowsFile(path);
    },
    explain: (error) => readError(error, name),
    ...(hdf5.recognizes(start, file) && {
      format: { ...hdf5, open: (_: RowsFile, options: OpenOptions) => openHdf5(file, name, options) },
    }),
  };
}

/** @throws DataError if the file is another than when it was opened first. */
async function readAt(
  file: string,
  begin: number,
  into: Uint8Array<ArrayBuffer>,
  was: { readonly name: string; readonly bytes: number; readonly changed: number },
): Promise<void> {
  const handle = await open(file);
  try {
    const { size, mtimeMs } = await handle.stat();
    if (size !== was.bytes || mtimeMs !== was.changed) {
      const what =
        size === was.bytes
          ? 'it has as many bytes as before, and another time of change'
          : `it had ${grouped(was.bytes)} bytes, and now has ${grouped(size)}`;
      throw new DataError(
        `${was.name} was written to while it was read: ${what}. Begin again when it is complete.`,
      );
    }
    for (let filled = 0; filled < into.length; ) {
      const { bytesRead } = await handle.read(into, filled, into.length - filled, begin + filled);
      if (bytesRead === 0) {
        throw new DataError(
          `${was.name} was cut while it was read: it ends at byte ${grouped(begin + filled)} now.`,
        );
      }
      filled += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

const pieceBytes = 1 << 20;

async function* stored(file: string, begin = 0, end = Number.POSITIVE_INFINITY): AsyncGenerator<Buffer> {
  // `end` of a stream is its last byte.
  if (begin < end) yield* createReadStream(file, { start: begin, end: end - 1, highWaterMark: pieceBytes });
}

/** What a packed stream of so many bytes unpacks to, in pieces. @throws whatever `chunks` throws; an error with a code that begins with Z_. */
export function unpackedStream(
  chunks: AsyncIterable<Uint8Array>,
  { bytes, packed }: { readonly bytes: number; readonly packed: Packing },
  file: string,
): AsyncIterable<Uint8Array> {
  return packed === 'zstd' ? unpackZstd(chunks, bytes, file) : unpackGzip(chunks);
}

async function* unpackGzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const input = Readable.from(chunks, { objectMode: false });
  const gunzip = createGunzip({ chunkSize: pieceBytes });
  input.on('error', (error) => gunzip.destroy(error));
  try {
    yield* input.pipe(gunzip);
  } finally {
    input.destroy();
  }
}

/** The error of reading a file, or of unpacking it, in a sentence. */
export function readError(error: unknown, file: string): DataError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') {
    return new DataError(`${file} is gone, and was there when it was opened first.`, { cause: error });
  }
  if (code === 'Z_BUF_ERROR') {
    return new DataError(
      `${file} is truncated: its gzip stream stops before its end. Copy or download it again.`,
      {
        cause: error,
      },
    );
  }
  if (code?.startsWith('Z_')) {
    const why = (error as Error).message;
    return new DataError(
      `${file} is damaged: its gzip stream cannot be unpacked (${why}). Copy or download it again.`,
      {
        cause: error,
      },
    );
  }
  return new DataError(`${file} cannot be read: ${describeFileError(error)}.`, { cause: error });
}
