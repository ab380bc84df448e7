import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** Numbers near which sizes go wrong. */
const edges = [
  0,
  1,
  127,
  128,
  255,
  256,
  32767,
  65535,
  65536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 53,
  2 ** 63,
];

/** The input of that number: a seed, changed in some places. The same arguments give the same bytes. */
export function mutated(seeds, seed, number, longest) {
  const generator = xoroshiro128plus((seed * 0x9e3779b1) ^ (number * 0x85ebca6b));
  const below = (count) => uniformInt(generator, 0, count - 1);
  const one = (list) => list[below(list.length)];
  let bytes = Buffer.from(one(seeds));
  for (let changes = 1 + below(4); changes > 0; changes--)
    bytes = one(changesOf)(bytes, { below, one, seeds });
  return bytes.subarray(0, longest);
}

const changesOf = [
  // A bit, or a byte.
  (bytes, { below }) => {
    if (bytes.length > 0) bytes[below(bytes.length)] ^= 1 << below(8);
    return bytes;
  },
  (bytes, { below }) => {
    if (bytes.length > 0) bytes[below(bytes.length)] = below(256);
    return bytes;
  },
  // A number.
  (bytes, { below, one }) => {
    const number = Buffer.alloc(8);
    number.writeBigUInt64LE(BigInt(one(edges)));
    const size = one([1, 2, 4, 8]);
    const written = below(2) ? number.subarray(0, size) : number.subarray(0, size).reverse();
    written.copy(bytes, below(bytes.length + 1));
    return bytes;
  },
  // A number that is written as text.
  (bytes, { below, one }) => {
    const numbers = [...bytes.toString('latin1').matchAll(/\d+/g)];
    if (numbers.length === 0) return bytes;
    const { index, 0: digits } = one(numbers);
    const other = `${below(4) === 0 ? '-' : ''}${one(edges)}`;
    return Buffer.concat([
      bytes.subarray(0, index),
      Buffer.from(other),
      bytes.subarray(index + digits.length),
    ]);
  },
  // What is left out, comes twice, or comes from elsewhere.
  (bytes, { below }) => {
    const [from, length] = [below(bytes.length + 1), below(32)];
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + length)]);
  },
  (bytes, { below }) => {
    const [from, length, to] = [below(bytes.length + 1), below(64), below(bytes.length + 1)];
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from, from + length), bytes.subarray(to)]);
  },
  (bytes, { below, one, seeds }) => {
    const other = one(seeds);
    return Buffer.concat([
      bytes.subarray(0, below(bytes.length + 1)),
      other.subarray(below(other.length + 1)),
    ]);
  },
  // Its end is missing.
  (bytes, { below }) => bytes.subarray(0, below(bytes.length + 1)),
];
