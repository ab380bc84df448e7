import { unzipRaw } from 'unzipit';
import { EngineError } from '../../../gpu/errors.js';
import { viewOf } from './array.js';
import { type ByteSource, type Fail, readPart } from './bytes.js';
import { crc32 } from './crc.js';

/** A file in a zip archive. */
export interface ZipMember {
  /** Bytes when unpacked. */
  readonly length: number;
  /** Reads all of it into memory of its own. */
  read(): Promise<Uint8Array<ArrayBuffer>>;
  /** Its bytes from `begin` on, in pieces. After the last one, all of its bytes are compared with its checksum. */
  stream(begin: number): AsyncIterable<Uint8Array>;
  /** Where its bytes lie in the archive, if they are stored as they are. */
  place(): Promise<number | undefined>;
  /** Reads its first bytes: that many, or all of them if it has fewer. */
  readStart(most: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Bytes of the header before each part, without its name and what follows that; and its first four. */
const localHeader = 30;
const localMagic = 0x504b0304;

/** Deflate makes nothing longer than this many times its packed length. */
const mostExpansion = 1032;

/**
 * Lists the files of a zip archive, of which only the directory at its end is read.
 * @param fail is called where it is damaged.
 */
export async function openZip(file: ByteSource, fail: Fail): Promise<ReadonlyMap<string, ZipMember>> {
  const reader = {
    getLength: async () => file.length,
    read: (begin: number, length: number) => readPart(file, begin, length, fail),
  };
  const { entries } = await damagedUnless(fail, () => unzipRaw(reader));
  const members = new Map<string, ZipMember>();
  for (const entry of entries) {
    if (members.has(entry.name)) fail(`its zip archive has ${entry.name} twice.`);
    const checkSize = () => {
      if (entry.size > mostExpansion * entry.compressedSize) {
        fail(
          `its part ${entry.name} claims ${entry.size} bytes, and ${entry.compressedSize} packed ones cannot hold that.`,
        );
      }
    };
    members.set(entry.name, {
      length: entry.size,
      async read() {
        checkSize();
        const bytes = new Uint8Array(await damagedUnless(fail, () => entry.arrayBuffer()));
        return bytes.length === entry.size
          ? bytes
          : fail(`its part ${entry.name} has ${bytes.length} bytes, and claims ${entry.size}.`);
      },
      async *stream(begin) {
        const reader = (await damagedUnless(fail, () => entry.stream())).getReader();
        let checksum = 0;
        try {
          for (let before = begin; ; ) {
            const { value, done } = await damagedUnless(fail, () => reader.read());
            if (done) break;
            checksum = crc32(value, checksum);
            if (before < value.length) yield value.subarray(before);
            before = Math.max(0, before - value.length);
          }
        } finally {
          await reader.cancel().catch(() => {});
        }
        // biome-ignore lint/complexity/useLiteralKeys: by its types, the library keeps it for itself.
        if (checksum !== entry['_rawEntry'].crc32) {
          fail(
            `its part ${entry.name} is damaged: its zip archive has the checksum (CRC-32) of other bytes. Copy or download it again.`,
          );
        }
      },
      async place() {
        if (entry.compressionMethod !== 0) return undefined;
        // biome-ignore lint/complexity/useLiteralKeys: by its types, the library keeps it for itself.
        const { relativeOffsetOfLocalHeader: begin } = entry['_rawEntry'];
        const header = await readPart(file, begin, localHeader, fail);
        const view = viewOf(header);
        const place = begin + localHeader + view.getUint16(26, true) + view.getUint16(28, true);
        if (view.getUint32(0) !== localMagic || place + entry.size > file.length) {
          fail(`its part ${entry.name} is not at byte ${begin}, where its zip archive says. It is damaged.`);
        }
        return place;
      },
      async readStart(most) {
        checkSize();
        const length = Math.min(most, entry.size);
        return damagedUnless(fail, async () => firstBytes(await entry.stream(), length));
      },
    });
  }
  return members;
}

async function firstBytes(
  stream: ReadableStream<Uint8Array>,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  const reader = stream.getReader();
  let filled = 0;
  while (filled < length) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`it ends after ${filled} of ${length} bytes`);
    bytes.set(value.subarray(0, length - filled), filled);
    filled += Math.min(value.length, length - filled);
  }
  await reader.cancel();
  return bytes;
}

async function damagedUnless<T>(fail: Fail, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof EngineError) throw error;
    return fail(
      `its zip archive is truncated or damaged (${(error as Error).message}). Copy or download it again.`,
      error,
    );
  }
}
