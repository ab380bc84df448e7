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
/** What zstd writes by itself into short streams whose length it does not know. Where more is said, the file has to be long enough for it. */
const usualWindow = 2 ** 23;

/**
 * What a zstd stream unpacks to, in pieces. Its checksums are not compared.
 * @param packed how many bytes it has. @param file its name in messages.
 * @throws DataError if it is damaged, and whatever `chunks` throws.
 */
export async function* unpackZstd(
  chunks: AsyncIterable<Uint8Array>,
  packed: number,
  file: string,
): AsyncGenerator<Uint8Array> {
  // Loaded where such a file is read only.
  const { Decompress } = await import('fzstd');
  let unpacked: Uint8Array[] = [];
  const stream = new Decompress((piece) => unpacked.push(piece));
  const damaged = (error: Error) =>
    new DataError(
      `${file} is damaged or truncated: its zstd stream cannot be unpacked (${error.message}). Copy or download it again.`,
      { cause: error },
    );
  const push = (part: Uint8Array, last: boolean) => {
    try {
      stream.push(part, last);
    } catch (error) {
      throw damaged(error as Error);
    }
  };
  const frames = new Frames((window) => checkWindow(window, packed, file));
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += step) {
      const part = chunk.subarray(at, at + step);
      frames.follow(part);
      push(part, false);
      yield* unpacked;
      unpacked = [];
    }
  }
  // The library takes what is missing of a header for zeros, and makes room for what it claims.
  if (frames.cut) throw damaged(new Error('unexpected EOF'));
  push(new Uint8Array(0), true);
  yield* unpacked;
}

/** Follows the frames of a stream, by RFC 8878, section 3.1: the library makes room for what each one's header claims. */
class Frames {
  /** What is at hand of a header. */
  #head: Uint8Array = new Uint8Array(0);
  /** Bytes before the next header. */
  #skip = 0;
  /** Whether blocks of a frame follow, whose end has so many bytes; undefined between frames. */
  #end: number | undefined;

  /** @param check is called with the bytes that a frame may refer back. */
  constructor(private readonly check: (window: number) => void) {}

  /** Whether a header has begun of which more is needed. */
  get cut(): boolean {
    return this.#head.length > 0;
  }

  /** Goes through the next bytes. */
  follow(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const skipped = Math.min(this.#skip, bytes.length - at);
      this.#skip -= skipped;
      at += skipped;
      if (at === bytes.length) return;
      const before = this.#head.length;
      const head = concat(this.#head, bytes.subarray(at, at + longestFrameHeader));
      const length = this.#end === undefined ? this.#frame(head) : this.#block(head);
      if (length === undefined) {
        this.#head = head;
        return;
      }
      this.#head = new Uint8Array(0);
      at += length - before;
    }
  }

  /** @returns the length of a header of a frame; undefined if more bytes are needed. */
  #frame(head: Uint8Array): number | undefined {
    if (head.length < 8) return undefined;
    const view = viewOf(head);
    // Frames of other data are passed over. What is none at all, the library refuses.
    if (packingOf(head) !== 'zstd') {
      this.#skip = view.getUint32(4, true);
      return 8;
    }
    const descriptor = head[4];
    const single = (descriptor & 0x20) !== 0;
    const at = (single ? 5 : 6) + [0, 1, 2, 4][descriptor & 3];
    const size = descriptor >> 6;
    const length = at + [single ? 1 : 0, 2, 4, 8][size];
    if (head.length < length) return undefined;
    if (single) {
      // All of the data is kept.
      if (size === 2) this.check(view.getUint32(at, true));
      if (size === 3) this.check(Number(view.getBigUint64(at, true)));
    } else {
      const base = 2 ** (10 + (head[5] >> 3));
      this.check(base + (base / 8) * (head[5] & 7));
    }
    this.#end = descriptor & 4 ? 4 : 0;
    return length;
  }

  /** As `#frame`, of a block. */
  #block(head: Uint8Array): number | undefined {
    if (head.length < 3) return undefined;
    const [last, kind, size] = [
      head[0] & 1,
      (head[0] >> 1) & 3,
      (head[0] >> 3) | (head[1] << 5) | (head[2] << 13),
    ];
    // One value again and again.
    this.#skip = kind === 1 ? 1 : size;
    if (last) {
      this.#skip += this.#end!;
      this.#end = undefined;
    }
    return 3;
  }
}

/** Bytes before the data of a frame, at most. */
const longestFrameHeader = 18;

/** @param window bytes that the data of a frame may refer back. @throws DataError if they are too many. */
function checkWindow(window: number, packed: number, file: string): void {
  if (window > largestWindow) {
    throw new DataError(
      `${file} is a zstd stream that needs ${grouped(window)} bytes of memory to be unpacked; at most ${grouped(largestWindow)} are ` +
        'used. Pack it without --long or --ultra.',
    );
  }
  if (window > Math.max(usualWindow, packings.zstd.expansion * packed)) {
    throw new DataError(
      `${file} is a zstd stream that claims to need ${grouped(window)} bytes of memory to be unpacked, and its ${grouped(packed)} bytes cannot ` +
        'hold that. The file is damaged.',
    );
  }
}
