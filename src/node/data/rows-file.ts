import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { DataError } from '../../sae/errors.js';
import { isGzip } from '../../sae/rows/decode.js';
import type { RowsFile } from '../../sae/rows/formats/file.js';
import { describeFileError, openDataFile } from './files.js';

/** A file on disk. @throws DataError if it is not a readable, non-empty file. */
export async function rowsFile(file: string): Promise<RowsFile> {
  const { bytes, start } = await openDataFile(file);
  const gzipped = isGzip(start);
  const stream = (begin?: number, end?: number) => (gzipped ? unpacked(file) : stored(file, begin, end));
  return { name: file, bytes, gzipped, stream, explain: (error) => readError(error, file) };
}

const pieceBytes = 1 << 20;

async function* stored(file: string, begin = 0, end = Number.POSITIVE_INFINITY): AsyncGenerator<Buffer> {
  // `end` of a stream is its last byte.
  if (begin < end) yield* createReadStream(file, { start: begin, end: end - 1, highWaterMark: pieceBytes });
}

async function* unpacked(file: string): AsyncGenerator<Buffer> {
  const input = createReadStream(file, { highWaterMark: pieceBytes });
  const gunzip = createGunzip({ chunkSize: pieceBytes });
  input.on('error', (error) => gunzip.destroy(error));
  try {
    yield* input.pipe(gunzip);
  } finally {
    input.destroy();
  }
}

function readError(error: unknown, file: string): DataError {
  const code = (error as NodeJS.ErrnoException).code;
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
