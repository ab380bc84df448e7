import { describe, expect, it } from 'vitest';
import { pipedRows } from '../../../src/node/data/piped.js';
import { ConfigError, DataError } from '../../../src/sae/errors.js';
import { bytes, npy } from '../../cli/sae.js';
import { failure } from './folder.js';

const [rows, in_dims] = [9000, 3];
const values = Float32Array.from(bytes(rows * in_dims), (byte) => byte / 8 - 10);
const file = npy([rows, in_dims], values);

/** A pipe of bytes in chunks of that many. */
function chunks(content: Uint8Array, length: number) {
  return { name: 'standard input', stream: chunksOf(content, length) };
}

async function* chunksOf(content: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += length) yield content.subarray(at, at + length);
}

describe('rows of another program', () => {
  it.each([1, 7, 12_345, 1e9])('are read in order, in chunks of %d bytes', async (length) => {
    const { rows: source, first } = await pipedRows(chunks(file, length));
    expect(source).toMatchObject({
      rows,
      in_dims,
      type: 'f32',
      once: true,
      normalization: { mean: 0, std: 1 },
    });
    // The first ones are kept.
    expect(first.data).toEqual(values.subarray(0, 8192 * in_dims));
    const runs = [
      [0, 10],
      [10, 8191],
      [8191, 8200],
      [8200, 8900],
      [8900, 9000],
    ];
    // All at once: they take turns.
    const parts = await Promise.all(runs.map(([begin, end]) => source.read(begin, end)));
    for (const [i, [begin, end]] of runs.entries()) {
      expect(parts[i]).toEqual(values.slice(begin * in_dims, end * in_dims));
    }
  });

  it('without a header are as many as are needed', async () => {
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x3800, 0x4200);
    const options = { rows_type: 'f16', in_dims: 2, raw_rows: 2 } as const;
    const read = (raw_rows: number) =>
      pipedRows(chunks(new Uint8Array(halves.buffer), 3), { ...options, raw_rows });
    const { rows: source } = await read(1);
    expect([source.rows, ...(await source.read(0, 1))]).toEqual([1, 1, -2]);
    expect([...(await (await read(2)).rows.read(0, 2))]).toEqual([1, -2, 0.5, 3]);
    expect(await failure(DataError, () => read(3))).toBe(
      'standard input ended at byte 8, after 2 rows; expected 3, as the steps need.',
    );
    const { raw_rows: _, ...unknown } = options;
    expect(await failure(ConfigError, () => pipedRows(chunks(file, 9), unknown))).toMatch(
      /nor how many rows come/,
    );
  });

  it('come once', async () => {
    const { rows: source } = await pipedRows(chunks(file, 1000));
    await source.read(0, 10);
    expect(await failure(DataError, () => source.read(0, 10))).toMatch(
      /each comes once, and row 10 is the next one/,
    );
  });

  it('that end too early say after how many, again and again', async () => {
    const cut = file.subarray(0, file.length - 13);
    const { rows: source } = await pipedRows(chunks(cut, 1000));
    await source.read(0, 8500);
    const sentence =
      'standard input ended at byte 108,115, after 8,998 rows and a part of another; expected 9,000, as its header says.';
    expect(await failure(DataError, () => source.read(8500, 9000))).toBe(sentence);
    expect(await failure(DataError, () => source.read(8500, 9000))).toBe(sentence);
  });

  it('that go on after the last row are refused, unless the pipe only stays open', async () => {
    const sentence =
      'standard input goes on after byte 108,128, where its 9,000 rows end; expected nothing more, as its header says.';
    for (const more of [1, 100_000]) {
      const { rows: source } = await pipedRows(chunks(Buffer.concat([file, Buffer.alloc(more)]), 108_128));
      await source.read(0, 8999);
      expect(await failure(DataError, () => source.read(8999, 9000))).toBe(sentence);
    }
    const open = async function* () {
      yield file;
      await new Promise(() => {});
    };
    const { rows: source } = await pipedRows({ name: 'open', stream: open() });
    expect(await source.read(0, 9000)).toEqual(values);
  });

  it.each([
    ['nothing', new Uint8Array(), /does not begin as a \.npy file/],
    ['text', new TextEncoder().encode('1,2,3\n'), /does not begin as a \.npy file/],
    ['a header that is cut', file.subarray(0, 60), /does not begin as a \.npy file/],
    ['a header alone', file.subarray(0, 128), /ended at byte 128, after 0 rows; expected 9,000/],
    ['rows of another width', npy([2, 5], new Float32Array(10)), /5 values a row; expected 3/],
    ['a value that is not finite', npy([1, 3], Float32Array.of(1, Number.NaN, 2)), /NaN at row 0, column 1/],
  ])('%s is refused', async (_, content, sentence) => {
    expect(await failure(DataError, () => pipedRows(chunks(content, 50), { in_dims }))).toMatch(sentence);
  });
});
