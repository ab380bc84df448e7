import { DataError } from '../../errors.js';
import { type ArrayHeader, alternatives, viewOf } from './array.js';
import type { HeadedFormat } from './headed.js';

// MNIST's format: two zero bytes, one for the type, one for the number of dimensions, then each size as a
// big-endian u32. Values are big-endian.
const elements: Record<number, ArrayHeader['element']> = {
  8: 'u8',
  9: 'i8',
  11: 'i16',
  12: 'i32',
  13: 'f32',
  14: 'f64',
};

const expected = alternatives(
  Object.entries(elements).map(([code, element]) => `${codeOf(Number(code))} (${element})`),
);

export const idx: HeadedFormat = {
  name: 'IDX',
  article: 'an',
  endings: /\.idx\d*$|-ubyte$/i,
  unsure: true,
  recognizes: (head) => head.length >= 4 && head[0] === 0 && head[1] === 0 && head[2] >= 8 && head[2] <= 14,
  parseHeader(head, file) {
    const element = elements[head[2]];
    if (!element) {
      throw new DataError(
        `${file} is an IDX file of type ${codeOf(head[2])} (byte 2); expected ${expected}.`,
      );
    }
    const headerBytes = 4 + 4 * head[3];
    if (head.length < headerBytes) return undefined;
    const view = viewOf(head);
    const shape = Array.from({ length: head[3] }, (_, i) => view.getUint32(4 + 4 * i));
    return { element, littleEndian: false, fortranOrder: false, shape, headerBytes };
  },
};

function codeOf(type: number): string {
  return `0x${type.toString(16).padStart(2, '0')}`;
}
