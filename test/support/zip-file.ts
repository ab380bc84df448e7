import { deflateRawSync } from 'node:zlib';
import type { ByteSource } from '../../src/sae/rows/formats/bytes.js';

/**
 * A zip archive by PKWARE's APPNOTE 4.3, without checksums.
 * @param packed names of the files that are deflated; the others are stored as they are.
 */
export function zipFile(
  files: Readonly<Record<string, Uint8Array>>,
  packed: readonly string[] = [],
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const [file, content] of Object.entries(files)) {
    const name = new TextEncoder().encode(file);
    const deflated = packed.includes(file);
    const data = deflated ? deflateRawSync(content) : content;
    const shared = bytesOf(
      [20, 0, 0, 0, deflated ? 8 : 0, 0, 0, 0, 33, 0],
      u32(0),
      u32(data.length),
      u32(content.length),
      u16(name.length),
      u16(0),
    );
    const local = bytesOf(u32(0x04034b50), shared, name, data);
    directory.push(
      bytesOf(u32(0x02014b50), u16(20), shared, u16(0), u16(0), u16(0), u32(0), u32(offset), name),
    );
    parts.push(local);
    offset += local.length;
  }
  const list = bytesOf(...directory);
  const count = u16(directory.length);
  const end = bytesOf(u32(0x06054b50), u16(0), u16(0), count, count, u32(list.length), u32(offset), u16(0));
  return bytesOf(...parts, list, end);
}

/** Bytes one after another. */
export function bytesOf(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function u16(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff];
}

export function u32(value: number): number[] {
  return [...u16(value), ...u16(value >>> 16)];
}

/** A zip archive in zip64 form whose files lie `hole` bytes into it, after zeros that take no memory. */
export function zip64Source(files: Readonly<Record<string, Uint8Array>>, hole: number): ByteSource {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = hole;
  for (const [file, content] of Object.entries(files)) {
    const name = new TextEncoder().encode(file);
    const before = [45, 0, 0, 0, 0, 0, 0, 0, 33, 0, ...u32(0)];
    const local = bytesOf(
      u32(0x04034b50),
      before,
      u32(content.length),
      u32(content.length),
      u16(name.length),
      u16(0),
      name,
      content,
    );
    // Sizes and offset of all ones stand for those of the extra field 1.
    const extra = bytesOf(u16(1), u16(24), u64(content.length), u64(content.length), u64(offset));
    const ones = u32(0xffffffff);
    const lengths = bytesOf(u16(name.length), u16(extra.length), u16(0), u16(0), u16(0), u32(0));
    directory.push(bytesOf(u32(0x02014b50), u16(45), before, ones, ones, lengths, ones, name, extra));
    parts.push(local);
    offset += local.length;
  }
  const list = bytesOf(...directory);
  const count = u64(directory.length);
  const record = bytesOf(
    u32(0x06064b50),
    u64(44),
    [45, 0, 45, 0],
    u64(0),
    count,
    count,
    u64(list.length),
    u64(offset),
  );
  const locator = bytesOf(u32(0x07064b50), u32(0), u64(offset + list.length), u32(1));
  const full = [0xff, 0xff];
  const end = bytesOf(u32(0x06054b50), u32(0), full, full, u32(0xffffffff), u32(0xffffffff), u16(0));
  const tail = bytesOf(...parts, list, record, locator, end);
  return {
    length: hole + tail.length,
    read: async (begin, into) => {
      for (let i = 0; i < into.length; i++) into[i] = begin + i < hole ? 0 : tail[begin + i - hole];
    },
  };
}

function u64(value: number): number[] {
  return [...u32(value % 2 ** 32), ...u32(Math.floor(value / 2 ** 32))];
}
