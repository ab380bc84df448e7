import { DataError } from '../errors.js';
import type { RowsFile } from './formats/file.js';
import { formatNames } from './formats/index.js';
import { packingBytes, packingOf, unpackZstd } from './formats/packing.js';

/** A dropped, chosen or fetched file. */
export interface NamedBlob {
  readonly blob: Blob;
  /** Its name in messages, with the folders that it was dropped in: `acts/acts000000.bin`. */
  readonly name: string;
}

/** A file that is to be opened. */
export interface BlobFile extends NamedBlob {
  /** @param expected what it should be, in messages. @throws DataError if it is empty or cannot be read. */
  readonly open: (expected?: string) => Promise<RowsFile>;
}

/** Files that a page was given at once: those of one folder stand beside each other. @throws DataError if two have one name. */
export function blobFiles(blobs: readonly NamedBlob[]): BlobFile[] {
  const files = new Map<string, BlobFile>();
  for (const { blob, name } of blobs) {
    if (files.has(name)) throw new DataError(`There are two files ${name}. Rename one of them.`);
    const beside = async (other: string) => files.get(folderOf(name) + other)?.open();
    files.set(name, { blob, name, open: (expected) => openBlob({ blob, name }, beside, expected) });
  }
  return [...files.values()];
}

/** The folder in a file's name, with the slash that ends it; '' if there is none. */
export function folderOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/') + 1);
}

async function openBlob(
  { blob, name }: NamedBlob,
  beside: NonNullable<RowsFile['beside']>,
  expected = `a ${formatNames} file`,
): Promise<RowsFile> {
  if (blob.size === 0) {
    throw new DataError(`${name} is empty; expected ${expected}.`);
  }
  const unreadable = (error: unknown) =>
    new DataError(`${name} cannot be read: ${(error as Error).message}`, { cause: error });
  const start = await blob
    .slice(0, packingBytes)
    .arrayBuffer()
    .catch((error) => {
      throw unreadable(error);
    });
  const packed = packingOf(new Uint8Array(start));
  return {
    name,
    bytes: blob.size,
    packed,
    stream(begin, end) {
      const part = begin === undefined ? blob : blob.slice(begin, end);
      if (packed === 'zstd') return unpackZstd(pieces(part.stream()), blob.size, name);
      return pieces(packed ? part.stream().pipeThrough(new DecompressionStream('gzip')) : part.stream());
    },
    async read(begin, into) {
      const part = await blob.slice(begin, begin + into.length).arrayBuffer();
      into.set(new Uint8Array(part));
    },
    beside,
    // A file that cannot be read throws a DOMException, a damaged gzip stream another error.
    explain: (error) =>
      packed && !(error instanceof DOMException)
        ? new DataError(
            `${name} is damaged or truncated: its gzip stream cannot be unpacked (${(error as Error).message}). Copy or ` +
              'download it again.',
            { cause: error },
          )
        : unreadable(error),
  };
}

/** What a stream gives, piece by piece, also in browsers that cannot iterate over one. */
export async function* pieces(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      yield next.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
