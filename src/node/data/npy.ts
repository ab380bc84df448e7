import { open, rename, rm, stat } from 'node:fs/promises';
import { DataError } from '../../sae/errors.js';
import { describeFileError } from './files.js';
import type { ArrayHeader } from './header.js';

// The format is numpy's: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
const magic = Buffer.from('\x93NUMPY', 'latin1');
/** A header of rows takes some 128 bytes: one that claims more than this is no such header. */
const longestHeader = 65_536;

const elements: Record<string, Pick<ArrayHeader, 'element' | 'littleEndian'>> = {
  '|u1': { element: 'u8', littleEndian: true },
  '<u1': { element: 'u8', littleEndian: true },
  '>u1': { element: 'u8', littleEndian: true },
  '<f4': { element: 'f32', littleEndian: true },
  '>f4': { element: 'f32', littleEndian: false },
  '<f8': { element: 'f64', littleEndian: true },
  '>f8': { element: 'f64', littleEndian: false },
};

export function isNpy(head: Buffer): boolean {
  return head.subarray(0, magic.length).equals(magic);
}

/**
 * Reads the header at the start of `head`, or returns undefined where more bytes are needed. Versions 1 to 3.
 * Throws DataError for anything that is not an array of u8, f32 or f64.
 */
export function parseNpyHeader(head: Buffer, file: string): ArrayHeader | undefined {
  if (head.length < 12) return undefined;
  const version = head[6];
  if (version < 1 || version > 3) {
    throw new DataError(
      `${file} is a .npy file of version ${version}.${head[7]} (byte 6); expected 1.0, 2.0 or 3.0.`,
    );
  }
  const textStart = version === 1 ? 10 : 12;
  const textBytes = version === 1 ? head.readUInt16LE(8) : head.readUInt32LE(8);
  if (textBytes > longestHeader) {
    throw new DataError(
      `${file} claims a .npy header of ${textBytes} bytes (byte 8); expected ${longestHeader} at most.`,
    );
  }
  const headerBytes = textStart + textBytes;
  if (head.length < headerBytes) return undefined;
  const text = head.toString(version === 3 ? 'utf8' : 'latin1', textStart, headerBytes);
  return { format: '.npy', ...parseDictionary(text, textStart, file), headerBytes };
}

/** The header's text is a Python dictionary of three keys, in any order. */
function parseDictionary(text: string, start: number, file: string) {
  const bad = (why: string) =>
    new DataError(
      `${file} has a .npy header that ${why} (byte ${start}); ` +
        "expected {'descr': '<f4', 'fortran_order': False, 'shape': (rows, values)}.",
    );
  const body = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1];
  if (body === undefined) throw bad('is not a dictionary');
  const entry = /\s*(['"])(\w+)\1\s*:\s*('[^']*'|"[^"]*"|True|False|\([^()]*\)|\[.*\])\s*(?:,|$)/sy;
  const values = new Map<string, string>();
  while (body.slice(entry.lastIndex).trim() !== '') {
    const found = entry.exec(body);
    if (!found) throw bad('cannot be understood');
    values.set(found[2], found[3]);
  }
  const descr = values.get('descr');
  const order = values.get('fortran_order');
  const shape = values.get('shape');
  if (values.size !== 3 || !descr || !order || !shape) throw bad('lacks a key or has one too many');

  const element = elements[descr.slice(1, -1)];
  if (!element) {
    throw new DataError(
      `${file} holds values of type ${descr}; expected u8, f32 or f64 (in numpy: array.astype('float32')).`,
    );
  }
  if (order !== 'True' && order !== 'False') throw bad(`has fortran_order ${order}`);
  if (!/^\((\s*\d+L?\s*(,\s*\d+L?\s*)*,?\s*)?\)$/.test(shape)) throw bad(`has shape ${shape}`);
  const numbers = shape.match(/\d+/g) ?? [];
  return { ...element, fortranOrder: order === 'True', shape: numbers.map(Number) };
}

/**
 * Writes f32 rows as a .npy file, [shape[0], shape[1]] row-major, block by block: only one block is in memory. They go to
 * a temporary file beside it that is flushed and renamed at the end, so that `file` is the old one or whole. Throws
 * DataError where it cannot be written, and whatever `blocks` throws.
 */
export async function writeNpy(
  file: string,
  shape: readonly [rows: number, values: number],
  blocks: AsyncIterable<Float32Array> | Iterable<Float32Array>,
): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  const unwritable = (error: unknown) =>
    new DataError(`${file} cannot be written: ${describeFileError(error)}.`, { cause: error });
  // Renaming onto a folder fails, but only at the end, after all the work.
  if ((await stat(file).catch(() => undefined))?.isDirectory()) {
    throw new DataError(`${file} cannot be written: it is a folder. Name a file.`);
  }
  const handle = await open(temporary, 'w').catch((error) => {
    throw unwritable(error);
  });
  let finished = false;
  try {
    const write = (bytes: Uint8Array) =>
      handle.writeFile(bytes).catch((error) => {
        throw unwritable(error);
      });
    await write(npyHeader(shape));
    let written = 0;
    for await (const block of blocks) {
      written += block.length;
      await write(new Uint8Array(block.buffer, block.byteOffset, block.byteLength));
    }
    if (written !== shape[0] * shape[1]) {
      throw new RangeError(`writeNpy got ${written} values for the shape (${shape.join(', ')}).`);
    }
    await handle.sync().catch((error) => {
      throw unwritable(error);
    });
    finished = true;
  } finally {
    await handle.close();
    if (!finished) await rm(temporary, { force: true });
  }
  await rename(temporary, file).catch(async (error) => {
    await rm(temporary, { force: true });
    throw unwritable(error);
  });
}

function npyHeader(shape: readonly number[]): Buffer {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  // Values begin at a multiple of 64 and the header's text ends in a line feed.
  const textBytes = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const header = Buffer.alloc(10 + textBytes, ' ');
  magic.copy(header);
  header[6] = 1;
  header[7] = 0;
  header.writeUInt16LE(textBytes, 8);
  header.write(text, 10, 'latin1');
  header[header.length - 1] = 0x0a;
  return header;
}
