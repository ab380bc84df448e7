import { DataError } from '../errors.js';
import type { Dataset } from './dataset.js';
import { concat, recognizedBytes } from './formats/array.js';
import { explained, type OpenedRows, type OpenOptions, type RowsFile } from './formats/file.js';
import { formatNames, rowFormats } from './formats/index.js';
import { type NormalizeOption, resolveNormalization } from './normalize.js';

/** How the rows of a file are to be read. */
export interface DecodeOptions extends OpenOptions {
  /** By default `mnist` for 8-bit values and `none` for all others. */
  readonly normalize?: NormalizeOption | undefined;
  /** The data set's name in messages; by default the file's name. */
  readonly name?: string;
  /** Is told what was decided where a file leaves it open, in a sentence. */
  readonly onNote?: ((sentence: string) => void) | undefined;
}

/** Whether a file is gzipped, by its first two bytes. */
export function isGzip(start: Uint8Array): boolean {
  return start[0] === 0x1f && start[1] === 0x8b;
}

/**
 * Reads the rows of a file, whose format is recognised by its content. All types but u8 become f32, integers as they
 * are. Everything is checked, and nothing is allocated for what a header claims but the file is too short for.
 * @throws DataError; ConfigError for an image_shape of another number of values.
 */
export async function decodeRows(file: RowsFile, options: DecodeOptions = {}): Promise<Dataset> {
  return explained(file, async () => {
    const opened = await openRows(file, options);
    opened.notes.forEach((note) => {
      options.onNote?.(note);
    });
    const { in_dims, image_shape } = opened;
    const data = await opened.read();
    return {
      name: options.name ?? file.name,
      rows: data.length / in_dims,
      in_dims,
      data,
      ...(image_shape && { image_shape }),
      normalization: resolveNormalization(options.normalize, data, file.name),
    };
  });
}

/** Finds out the format of a file, and reads its header. @throws DataError, and whatever the file throws. */
async function openRows(file: RowsFile, options: OpenOptions): Promise<OpenedRows> {
  const head = await beginning(file);
  const format = rowFormats.find((candidate) => candidate.recognizes(head, file.name));
  if (!format) throw neither(file);
  return format.open(file, options);
}

/** Its first `recognizedBytes` bytes, or all of them if it has fewer. */
async function beginning(file: RowsFile): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  for await (const chunk of file.stream()) {
    head = concat(head, chunk.subarray(0, recognizedBytes));
    if (head.length >= recognizedBytes) break;
  }
  return head.subarray(0, recognizedBytes);
}

/**
 * Reads such a file, gzipped or not, from a Blob: a dropped, chosen or fetched file.
 * @param name the name of the data set, also in messages.
 * @throws DataError; ConfigError for an image_shape of another number of values.
 */
export async function decodeDataset(
  blob: Blob,
  name: string,
  options: Omit<DecodeOptions, 'name'> = {},
): Promise<Dataset> {
  if (blob.size === 0) {
    throw new DataError(`${name} is empty; expected a ${formatNames} file.`);
  }
  const unreadable = (error: unknown) =>
    new DataError(`${name} cannot be read: ${(error as Error).message}`, { cause: error });
  const start = await blob
    .slice(0, 2)
    .arrayBuffer()
    .catch((error) => {
      throw unreadable(error);
    });
  const gzipped = isGzip(new Uint8Array(start));
  const file: RowsFile = {
    name,
    bytes: blob.size,
    gzipped,
    stream(begin, end) {
      const part = begin === undefined ? blob : blob.slice(begin, end);
      return pieces(gzipped ? part.stream().pipeThrough(new DecompressionStream('gzip')) : part.stream());
    },
    // A file that cannot be read throws a DOMException, a damaged gzip stream another error.
    explain: (error) =>
      gzipped && !(error instanceof DOMException)
        ? new DataError(
            `${name} is damaged or truncated: its gzip stream cannot be unpacked (${(error as Error).message}). Copy or ` +
              'download it again.',
            { cause: error },
          )
        : unreadable(error),
  };
  return decodeRows(file, options);
}

async function* pieces(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      yield next.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function neither({ name, gzipped }: RowsFile): DataError {
  const names = rowFormats.map((format) => `${format.article} ${format.name}`);
  return new DataError(
    `${name} is neither ${names.slice(0, -1).join(', ')} nor ${names.at(-1)} file${gzipped ? ' inside its gzip' : ''}, by its first ` +
      "bytes or, as text, by its name; expected one of them, gzipped or not (in numpy: np.save('rows.npy', array)).",
  );
}
