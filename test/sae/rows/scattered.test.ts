import { describe, expect, test } from 'vitest';
import { headed } from '../../../src/sae/rows/formats/headed.js';
import { openedStrided } from '../../../src/sae/rows/formats/strided.js';
import type { StoredRows } from '../../../src/sae/rows/rows.js';
import { long } from '../../support/long.js';

/** A file of bytes that are made as they are read: each is told by its place. */
function madeFile() {
  const reads: { begin: number; bytes: number }[] = [];
  const byteAt = (place: number) => Math.imul(place, 0x9e3779b1) >>> 24;
  return {
    reads,
    byteAt,
    read: async (begin: number, into: Uint8Array) => {
      reads.push({ begin, bytes: into.length });
      for (let i = 0; i < into.length; i++) into[i] = byteAt(begin + i);
    },
  };
}

async function* all(pieces: AsyncIterable<StoredRows>, in_dims: number) {
  let row = 0;
  for await (const piece of pieces) {
    yield { piece, row };
    row += piece.length / in_dims;
  }
}

// 40 MB, of which 32 MiB are gathered at a time.
const [rows, in_dims, begin] = [1_000_000, 40, 128];

describe('rows that lie column by column', () => {
  const wanted = rows * in_dims;
  const cases = {
    'of a .npy file in the order of Fortran': (file: ReturnType<typeof madeFile>) => {
      const header = {
        element: 'u8',
        littleEndian: true,
        fortranOrder: true,
        shape: [rows, in_dims],
      } as const;
      const format = headed({
        name: 'made',
        article: 'a',
        endings: /x/,
        recognizes: () => true,
        parseHeader: () => ({ ...header, headerBytes: begin }),
      });
      const stored = { name: 'rows.npy', bytes: begin + wanted, packed: undefined, read: file.read };
      return format.open(
        {
          ...stored,
          stream() {
            throw new Error('it is not read from its beginning');
          },
          explain: (error) => error as never,
        },
        {},
      );
    },
    'of a transposed tensor': async (file: ReturnType<typeof madeFile>) => {
      const array = {
        element: 'u8',
        littleEndian: true,
        shape: [rows, in_dims],
        strides: [1, rows],
        begin,
      } as const;
      return openedStrided('rows.pt', array, {}, file.read);
    },
  };
  test.each(Object.entries(cases).slice(0, long ? undefined : 1))(
    '%s are read in blocks, each value once',
    async (_, open) => {
      const file = madeFile();
      const { pieces } = await open(file);
      file.reads.length = 0;
      let read = 0;
      for await (const { piece, row } of all(pieces(), in_dims)) {
        for (let i = 0; i < piece.length; i += 997) {
          const [r, column] = [row + Math.floor(i / in_dims), i % in_dims];
          if (piece[i] !== file.byteAt(begin + column * rows + r)) expect.fail(`row ${r}, column ${column}`);
        }
        expect(piece.byteLength).toBeLessThanOrEqual(2 ** 25);
        read += piece.length;
      }
      expect(read).toBe(wanted);
      expect(file.reads.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(wanted);
      expect(Math.max(...file.reads.map(({ bytes }) => bytes))).toBeLessThan(2 ** 20);
    },
  );
});

test.runIf(long)('rows whose values are turned within them are read a block at a time', async () => {
  const file = madeFile();
  // Images of 8 x 5, stored as 5 x 8.
  const array = {
    element: 'u8',
    littleEndian: true,
    shape: [rows, 8, 5],
    strides: [40, 1, 8],
    begin,
  } as const;
  const { pieces } = openedStrided('rows.pt', array, {}, file.read);
  for await (const { piece, row } of all(pieces(), in_dims)) {
    for (let i = 0; i < piece.length; i += 997) {
      const [r, y, x] = [row + Math.floor(i / 40), Math.floor((i % 40) / 5), i % 5];
      if (piece[i] !== file.byteAt(begin + r * 40 + x * 8 + y)) expect.fail(`row ${r}, ${y}, ${x}`);
    }
  }
  expect(file.reads).toHaveLength(2);
  expect(file.reads.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(rows * in_dims);
});

test('rows of several dimensions that lie all over are read at once', async () => {
  const file = madeFile();
  // (batch, sequence, values) in the order of Fortran.
  const shape = [1000, 1000, 40];
  const array = { element: 'i8', littleEndian: true, shape, strides: [1, 1000, 1e6], begin } as const;
  const { pieces } = openedStrided('rows.pt', array, {}, file.read);
  for await (const { piece } of all(pieces(), in_dims)) {
    for (let i = 0; i < piece.length; i += 997) {
      const [batch, place, column] = [Math.floor(i / 40_000), Math.floor(i / 40) % 1000, i % 40];
      const at = begin + batch + place * 1000 + column * 1e6;
      if (piece[i] !== (file.byteAt(at) << 24) >> 24) expect.fail(`row ${batch}, ${place}, ${column}`);
    }
  }
  expect(file.reads.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(rows * in_dims);
});
