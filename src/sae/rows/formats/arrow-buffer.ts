import { grouped, viewOf } from './array.js';
import type { ArrowBatch } from './arrow-messages.js';
import { allocate, type ByteSource, type Fail, readPart } from './bytes.js';
import { lz4Expansion, unpackLz4 } from './lz4.js';
import { packings, unpackZstd } from './packing.js';

/** Bytes that a buffer unpacks to, at most: 65,536 rows, which pandas writes at a time, of 4,096 values of 64 bits. */
const mostUnpacked = 2 ** 31;
/** The length of what a compressed buffer unpacks to comes before it, or -1 where it is as it is. */
const lengthBytes = 8;

const expansions = { LZ4: lz4Expansion, ZSTD: packings.zstd.expansion } as const;

/** A buffer as the file has it. */
interface Stored {
  readonly place: number;
  readonly bytes: number;
  readonly codec: ArrowBatch['codec'];
}

/** A part of a buffer of a batch. What is compressed is unpacked where it is read first, all of it, and kept. */
export class ArrowBuffer implements ByteSource {
  #whole: Promise<ByteSource> | undefined;

  /**
   * @param begin where the part begins in the buffer. @param length its bytes.
   * @param name the file, in messages. @param fail says what is wrong with the buffer: «cannot be ...».
   */
  constructor(
    readonly file: ByteSource,
    readonly stored: Stored,
    readonly begin: number,
    readonly length: number,
    readonly name: string,
    readonly fail: Fail,
  ) {
    if (!stored.codec) this.#checkLength(stored.bytes);
  }

  async read(begin: number, into: Uint8Array<ArrayBuffer>): Promise<void> {
    // Parts that are read at once are unpacked once.
    this.#whole ??= this.#open();
    const whole = await this.#whole;
    await whole.read(this.begin + begin, into);
  }

  /** Forgets what was unpacked. */
  release(): void {
    this.#whole = undefined;
  }

  async #open(): Promise<ByteSource> {
    const { file, stored, fail } = this;
    const { place, bytes, codec } = stored;
    const stays = (skipped: number): ByteSource => ({
      length: bytes - skipped,
      read: (begin, into) => file.read(place + skipped + begin, into),
    });
    if (!codec) return stays(0);
    if (bytes < lengthBytes)
      return fail(`has ${bytes} bytes, and a length takes ${lengthBytes}. It is damaged.`);
    const start = await readPart(file, place, lengthBytes, fail);
    const packedBytes = bytes - lengthBytes;
    const claimed = Number(viewOf(start).getBigInt64(0, true));
    const length = claimed === -1 ? packedBytes : claimed;
    this.#checkLength(length);
    if (claimed === -1) return stays(lengthBytes);
    const claims = `claims to unpack to ${grouped(length)} bytes`;
    if (length > packedBytes * expansions[codec]) {
      fail(`${claims}, and has ${grouped(packedBytes)} of ${codec}. It is damaged.`);
    }
    if (length > mostUnpacked) {
      fail(`${claims}; at most ${grouped(mostUnpacked)} are read. Write batches of fewer rows.`);
    }
    const packed = await readPart(file, place + lengthBytes, packedBytes, fail);
    const whole = allocate(length, fail);
    if (codec === 'LZ4') this.#unpackLz4(packed, whole);
    else await this.#unpackZstd(packed, whole);
    return { length, read: async (begin, into) => into.set(whole.subarray(begin, begin + into.length)) };
  }

  #unpackLz4(packed: Uint8Array, into: Uint8Array): void {
    try {
      unpackLz4(packed, into);
    } catch (error) {
      this.fail(`cannot be unpacked (${(error as Error).message}). It is damaged.`, error);
    }
  }

  async #unpackZstd(packed: Uint8Array, into: Uint8Array): Promise<void> {
    async function* chunks() {
      yield packed;
    }
    const claimed = `the ${grouped(into.length)} bytes that it claims. It is damaged.`;
    let filled = 0;
    const where = `${this.name}, at byte ${grouped(this.stored.place)},`;
    for await (const piece of unpackZstd(chunks(), packed.length, where)) {
      if (filled + piece.length > into.length) this.fail(`unpacks to more than ${claimed}`);
      into.set(piece, filled);
      filled += piece.length;
    }
    if (filled < into.length) this.fail(`unpacks to ${grouped(filled)} bytes instead of ${claimed}`);
  }

  #checkLength(bytes: number): void {
    const needed = this.begin + this.length;
    if (bytes < needed)
      this.fail(`has ${grouped(bytes)} bytes, and ${grouped(needed)} are needed. It is damaged.`);
  }
}
