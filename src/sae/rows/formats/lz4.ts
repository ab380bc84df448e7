import { viewOf } from './array.js';

// LZ4's frames and blocks: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md.

const magic = 0x184d2204;

/** Nothing is longer than this many times its packed length. */
export const lz4Expansion = 255;

/**
 * Unpacks a frame, whose checksums are not compared.
 * @param out memory of as many bytes as it unpacks to.
 * @throws Error if it is damaged or of another length.
 */
export function unpackLz4(frame: Uint8Array, out: Uint8Array): void {
  const view = viewOf(frame);
  const { blocks, independent, blockChecksum, contentChecksum, longest } = frameHeader(view);
  let at = blocks;
  let filled = 0;
  for (;;) {
    if (at + 4 > frame.length) damaged('it is cut off');
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const size = word & 0x7fffffff;
    if (size > longest) damaged(`it has a block of ${size} bytes, and claims ${longest} at most`);
    if (at + size > frame.length) damaged('it is cut off');
    const block = frame.subarray(at, at + size);
    // No block has more than its frame allows, and what it refers to begins with it or, where blocks are linked, with the frame.
    const into = out.subarray(0, Math.min(out.length, filled + longest));
    if (word >= 0x80000000) {
      if (filled + size > into.length) tooLong();
      into.set(block, filled);
      filled += size;
    } else {
      filled = unpackBlock(block, into, filled, independent ? filled : 0);
    }
    at += size + (blockChecksum ? 4 : 0);
  }
  if (filled !== out.length) damaged(`it unpacks to ${filled} bytes instead of ${out.length}`);
  const end = at + (contentChecksum ? 4 : 0);
  if (end !== frame.length) damaged(`it ends at byte ${end} of ${frame.length}`);
}

function frameHeader(view: DataView) {
  if (view.byteLength < 7 || view.getUint32(0, true) !== magic) damaged('it does not begin as one does');
  const [flags, descriptor] = [view.getUint8(4), view.getUint8(5)];
  const size = (descriptor >> 4) & 7;
  if (flags >> 6 !== 1 || flags & 2 || descriptor & 0x8f || size < 4)
    damaged('its header is of no known version');
  if (flags & 1) damaged('it needs a dictionary');
  return {
    independent: (flags & 0x20) !== 0,
    blockChecksum: (flags & 0x10) !== 0,
    contentChecksum: (flags & 4) !== 0,
    /** Bytes of an unpacked block, at most. */
    longest: 2 ** (8 + 2 * size),
    /** Where they begin: after the length of all and a byte of checksum. */
    blocks: 7 + (flags & 8 ? 8 : 0),
  };
}

/**
 * Unpacks a block behind what is there.
 * @param at where it goes in `out`. @param first where what it may refer to begins.
 * @returns where it ends.
 */
function unpackBlock(block: Uint8Array, out: Uint8Array, at: number, first: number): number {
  let i = 0;
  let o = at;
  // A length goes on while its bytes are 255.
  const longer = (length: number) => {
    for (let all = length; ; ) {
      if (i >= block.length) damaged('a block is cut off');
      const byte = block[i++];
      all += byte;
      if (byte !== 255) return all;
    }
  };
  while (i < block.length) {
    const token = block[i++];
    const literals = token < 0xf0 ? token >> 4 : longer(15);
    if (i + literals > block.length) damaged('a block is cut off');
    if (o + literals > out.length) tooLong();
    // A call takes longer than a few bytes do.
    if (literals > 32) out.set(block.subarray(i, i + literals), o);
    else for (let k = 0; k < literals; k++) out[o + k] = block[i + k];
    i += literals;
    o += literals;
    // The last has literals alone.
    if (i === block.length) return o;
    if (i + 2 > block.length) damaged('a block is cut off');
    const back = block[i] | (block[i + 1] << 8);
    i += 2;
    const length = 4 + ((token & 15) < 15 ? token & 15 : longer(15));
    if (back === 0 || o - back < first) damaged(`a block refers ${back} bytes back, where nothing is`);
    if (o + length > out.length) tooLong();
    if (length > 32 && back >= length) out.copyWithin(o, o - back, o - back + length);
    // What is copied may be a part of the copy.
    else for (let k = 0; k < length; k++) out[o + k] = out[o - back + k];
    o += length;
  }
  return damaged('a block does not end with literals');
}

function tooLong(): never {
  return damaged('it is longer than it claims');
}

function damaged(what: string): never {
  throw new Error(what);
}
