import { DataError } from '../../errors.js';
import { type ArrayHeader, alternatives, longestHeader, viewOf } from './array.js';
import type { HeadedFormat } from './headed.js';

// The format is numpy's: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
const magic = [0x93, ...new TextEncoder().encode('NUMPY')];
/** What numpy calls the types. */
const elements = new Map<string, ArrayHeader['element']>([
  ...['u1', 'B', 'uint8', 'ubyte'].map((name) => [name, 'u8'] as const),
  ...['i1', 'b', 'int8', 'byte'].map((name) => [name, 'i8'] as const),
  ...['u2', 'H', 'uint16', 'ushort'].map((name) => [name, 'u16'] as const),
  ...['i2', 'h', 'int16', 'short'].map((name) => [name, 'i16'] as const),
  ...['u4', 'I', 'uint32', 'uintc'].map((name) => [name, 'u32'] as const),
  ...['i4', 'i', 'int32', 'intc'].map((name) => [name, 'i32'] as const),
  ...['f2', 'e', 'float16', 'half'].map((name) => [name, 'f16'] as const),
  ...['f4', 'f', 'float32', 'single'].map((name) => [name, 'f32'] as const),
  ...['f8', 'd', 'float64', 'double', 'float', 'float_'].map((name) => [name, 'f64'] as const),
]);

const elementsHere = alternatives([...new Set(elements.values())]);

/** numpy's format, versions 1 to 3. */
export const npy: HeadedFormat = {
  name: '.npy',
  article: 'a',
  endings: /\.npy$/i,
  recognizes: (head) => magic.every((byte, i) => head[i] === byte),
  parseHeader(head, file) {
    const described = describeNpy(head, file);
    if (!described) return undefined;
    const { descr, element, ...header } = described;
    if (!element) {
      throw new DataError(
        `${file} holds values of type ${descr}; expected ${elementsHere}, such as '|u1', '<i4' or '<f4' ` +
          "(array.astype('float32') makes f32).",
      );
    }
    return { ...header, element };
  },
};

/** A header of which only the type may be one that is not read. */
export interface DescribedArray extends Omit<ArrayHeader, 'element'> {
  /** The type as the header has it. */
  readonly descr: string;
  readonly element: ArrayHeader['element'] | undefined;
}

/**
 * What a header says, whatever its type is; undefined if more bytes are needed, up to `longestHeader`.
 * @throws DataError.
 */
export function describeNpy(head: Uint8Array, file: string): DescribedArray | undefined {
  if (head.length < 12) return undefined;
  const version = head[6];
  if (version < 1 || version > 3) {
    throw new DataError(
      `${file} is a .npy file of version ${version}.${head[7]} (byte 6); expected 1.0, 2.0 or 3.0.`,
    );
  }
  const textStart = version === 1 ? 10 : 12;
  const textBytes = version === 1 ? viewOf(head).getUint16(8, true) : viewOf(head).getUint32(8, true);
  if (textBytes > longestHeader) {
    throw new DataError(
      `${file} claims a .npy header of ${textBytes} bytes (byte 8); expected ${longestHeader} at most.`,
    );
  }
  const headerBytes = textStart + textBytes;
  if (head.length < headerBytes) return undefined;
  const text = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(
    head.subarray(textStart, headerBytes),
  );
  return { ...parseDictionary(text, textStart, file), headerBytes };
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

  // No order, = and | mean the machine's own order, and today's JavaScript engines run on little-endian machines.
  const [, byteOrder, type] = /^.([<>=|]?)(\w+).$/.exec(descr) ?? [];
  // f04 is f4.
  const element = elements.get(type?.replace(/^(.)0+/, '$1'));
  if (order !== 'True' && order !== 'False') throw bad(`has fortran_order ${order}`);
  if (!/^\((\s*\d+L?\s*(,\s*\d+L?\s*)*,?\s*)?\)$/.test(shape)) throw bad(`has shape ${shape}`);
  const numbers = shape.match(/\d+/g) ?? [];
  return {
    descr,
    element,
    littleEndian: byteOrder !== '>',
    fortranOrder: order === 'True',
    shape: numbers.map(Number),
  };
}

/** The header of a file of values, row-major. @param descr their type as numpy writes it; f32 by default. */
export function npyHeader(shape: readonly number[], descr = '<f4'): Uint8Array<ArrayBuffer> {
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sides}), }`;
  // Values begin at a multiple of 64 bytes, and the header's text ends with a line feed.
  const textBytes = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const header = new Uint8Array(10 + textBytes).fill(0x20);
  header.set(magic);
  header.set([1, 0], 6);
  viewOf(header).setUint16(8, textBytes, true);
  header.set(new TextEncoder().encode(text), 10);
  header[header.length - 1] = 0x0a;
  return header;
}
