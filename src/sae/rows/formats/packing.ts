import { DataError } from '../../errors.js';
import { concat, grouped, viewOf } from './array.js';

/** How a whole file may be packed. */
export const packings = {
  gzip: {
    magic: [0x1f, 0x8b],
    /** What unpacks it. */
    program: 'gunzip',
    /** Nothing is longer than this many times its packed length. */
    expansion: 1032,
  },
  zstd: {
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    program: 'unzstd',
    // A block of four bytes can be one value 2^17 times.
    expansion: 2 ** 15,
  },
} as const;
export type Packing = keyof typeof packings;

/** Bytes at the start of a file that tell. */
export const packingBytes = 4;

/** How a file is packed, by its first `packingBytes` bytes; undefined if it is not. */
export function packingOf(start: Uint8Array): Packing | undefined {
  const names = Object.keys(packings) as Packing[];
  return names.find((name) => packings[name].magic.every((byte, i) => start[i] === byte));
}

/** The name that a file has when it is unpacked. */
export function unpackedName(name: string): string {
  return name.replace(/\.(gz|zst)$/i, '');
}

/** Bytes that are unpacked before what came of them is passed on: it may be 2^15 times as long. */
const step = 256;

/** Most bytes that the unpacked data may refer back, as in zstd's own program: so much is kept in memory. */
const largestWindow = 2 ** 27;

/** Bytes before the data of a frame, at most. */
const longestFrameHeader = 18;

/**
 * What a zstd stream unpacks to, in pieces. Its checksums are not compared.
 * @param file its name in messages.
 * @throws DataError if it is damaged, and whatever `chunks` throws.
 */
export async function* unpackZstd(
  chunks: AsyncIterable<Uint8Array>,
  file: string,
): AsyncGenerator<Uint8Array> {
  // Loaded where such a file is read only.
  const { Decompress } = await import('fzstd');
  let unpacked: Uint8Array[] = [];
  const stream = new Decompress((piece) => unpacked.push(piece));
  const push = (part: Uint8Array, last: boolean) => {
    try {
      stream.push(part, last);
    } catch (error) {
      throw new DataError(
        `${file} is damaged or truncated: its zstd stream cannot be unpacked (${(error as Error).message}). Copy or download it ` +
          'again.',
        { cause: error },
      );
    }
  };
  let start: Uint8Array | undefined = new Uint8Array(0);
  for await (const chunk of chunks) {
    if (start) {
      start = concat(start, chunk.subarray(0, longestFrameHeader));
      if (start.length >= longestFrameHeader) {
        checkWindow(start, file);
        start = undefined;
      }
    }
    for (let at = 0; at < chunk.length; at += step) {
      push(chunk.subarray(at, at + step), false);
      yield* unpacked;
      unpacked = [];
    }
  }
  // The library begins when it has as many bytes, or all.
  if (start) checkWindow(start, file);
  push(new Uint8Array(0), true);
  yield* unpacked;
}

/** @param start of a frame, by RFC 8878, section 3.1.1.1. */
function checkWindow(start: Uint8Array, file: string): void {
  const bytes = new Uint8Array(longestFrameHeader);
  bytes.set(start.subarray(0, longestFrameHeader));
  const view = viewOf(bytes);
  const descriptor = bytes[4];
  let window = 0;
  if (descriptor & 0x20) {
    // One segment: all of the data is kept.
    const at = 5 + [0, 1, 2, 4][descriptor & 3];
    const size = descriptor >> 6;
    if (size === 2) window = view.getUint32(at, true);
    if (size === 3) window = Number(view.getBigUint64(at, true));
  } else {
    const base = 2 ** (10 + (bytes[5] >> 3));
    window = base + (base / 8) * (bytes[5] & 7);
  }
  if (window > largestWindow) {
    throw new DataError(
      `${file} is a zstd stream that needs ${grouped(window)} bytes of memory to be unpacked; at most ${grouped(largestWindow)} are ` +
        'used. Pack it without --long or --ultra.',
    );
  }
}
