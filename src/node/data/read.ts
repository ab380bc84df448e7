import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { createGunzip } from 'node:zlib';
import { DataError } from '../../sae/errors.js';
import type { Dataset } from '../../sae/rows/dataset.js';
import { type DecodeOptions, decodeRows, isGzip } from '../../sae/rows/decode.js';
import { describeFileError, openDataFile } from './files.js';

/**
 * Reads a file of rows, gzipped or not, recognised by its content and not by its name. All types but u8 become f32,
 * integers as they are. The data set has the file's name unless `options` has another.
 * @throws DataError; ConfigError for an image_shape of another number of values.
 */
export async function readDataset(file: string, options: DecodeOptions = {}): Promise<Dataset> {
  const { bytes, start } = await openDataFile(file);
  const gzipped = isGzip(start);
  const stream = (begin?: number, end?: number) => (gzipped ? unpacked(file) : stored(file, begin, end));
  const explain = (error: unknown) => readError(error, file);
  return decodeRows({ name: file, bytes, gzipped, stream, explain }, { name: basename(file), ...options });
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
