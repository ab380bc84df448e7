import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openDataset, readDataset } from '../../../src/node/data/read.js';
import { DataError } from '../../../src/sae/errors.js';
import { rowsBetween, takeRows } from '../../../src/sae/rows/blocks.js';
import type { ScalarNormalization } from '../../../src/sae/rows/rows.js';
import type { RowSource } from '../../../src/sae/rows/source.js';
import { bytes, npy } from '../../cli/sae.js';
import { failure, temporaryFolder } from './folder.js';

const fixtures = fileURLToPath(new URL('../../fixtures/data/', import.meta.url));
const folder = temporaryFolder();

const [rows, in_dims] = [40, 6];
const values = Float32Array.from(bytes(rows * in_dims), (byte) => byte / 8 - 10);
const shard = (first: number, end: number) =>
  npy([end - first, in_dims], values.slice(first * in_dims, end * in_dims));
const shards = [
  folder.write('x1.npy', shard(0, 13)),
  folder.write('x2.npy', shard(13, 14)),
  folder.write('x3.npy', shard(14, 40)),
];
const table = Array.from({ length: rows }, (_, row) =>
  values.slice(row * in_dims, (row + 1) * in_dims).join(),
).join('\n');
const expected = { rows, in_dims, type: 'f32', normalization: { mean: 0, std: 1 } };

/** Rows that are not read into memory. */
async function opened(named: string | string[], options = {}): Promise<RowSource> {
  const source = await openDataset(named, { most_memory: 100, ...options });
  if (!('read' in source)) throw new Error('the rows are in memory');
  return source;
}

describe('rows that are more than memory is for', () => {
  it.each([
    ['of several files', shards],
    ['of a file', [folder.write('one.npy', shard(0, 40))]],
    ['of a gzipped file', [folder.write('one.npy.gz', gzipSync(shard(0, 40)))]],
    ['of a table, whose length is not known before', [folder.write('table.csv', table)]],
    [
      'of a file and a table',
      [
        folder.write('first.npy', shard(0, 30)),
        folder.write('last.csv', table.split('\n').slice(30).join('\n')),
      ],
    ],
  ])('%s are read from wherever one likes', async (_, files) => {
    const before = new Set(readdirSync(tmpdir()));
    const source = await opened(files);
    expect(source).toMatchObject(expected);
    // A temporary file has no name any more.
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('sae-rows-') && !before.has(name))).toEqual(
      [],
    );
    for (const [first, end] of [
      [0, 40],
      [12, 15],
      [13, 14],
      [39, 40],
    ]) {
      expect(await source.read(first, end)).toEqual(values.slice(first * in_dims, end * in_dims));
      expect((await rowsBetween(source, first, end)).data).toEqual(await source.read(first, end));
    }
    const some = [39, 3, 13, 3, 4];
    const { data, rows: taken } = await takeRows(source, some);
    expect(taken).toBe(5);
    expect([...data]).toEqual(some.flatMap((row) => [...values.slice(row * in_dims, (row + 1) * in_dims)]));
  });

  it.each([
    ['little-f4.npy', 4],
    ['big-f4.npy', 4],
    ['big-f2.npy', 4],
    ['little-f2.npy', 4],
    ['little-u2.npy', 4],
    ['big-i4.npy', 4],
    ['i1.npy', 4],
    ['little-f8.npy', 4],
    ['rows-bf16.safetensors', 4],
    ['rows-f16.safetensors', 4],
    ['images-u1.npy', 1],
  ])('are read into memory that is there already: %s', async (file, size) => {
    const { in_dims: width, rows: all, read } = await opened(fixtures + file, { most_memory: 1 });
    const alone = await read(1, all);
    const memory = new ArrayBuffer(size * (3 + alone.length));
    const into =
      size === 1 ? new Uint8Array(memory, 3, alone.length) : new Float32Array(memory, 12, alone.length);
    into.fill(9);
    const values = await read(1, all, into);
    expect(values.buffer).toBe(memory);
    expect(values).toEqual(alone);
    expect(values.length).toBe((all - 1) * width);
  });

  it('are read into memory if they fit', async () => {
    expect(await openDataset(shards, { most_memory: rows * in_dims * 4 })).toEqual(await readDataset(shards));
    const csv = join(folder.path, 'table.csv');
    expect(await openDataset(csv, { most_memory: rows * in_dims * 4 })).toEqual(await readDataset(csv));
  });

  it.each([
    ['images-u8.safetensors'],
    ['big-f4.npy'],
    ['little-f2.npy'],
    ['sequences-f2.npy'],
    ['rows-bf16.safetensors'],
    ['fortran-f8.npy'],
  ])('as in memory: %s', async (name) => {
    const file = join(fixtures, name);
    const whole = await readDataset(file);
    const source = await openDataset(file, { most_memory: 1 });
    expect(
      await takeRows(
        source,
        Array.from({ length: whole.rows }, (_, row) => row),
      ),
    ).toEqual(whole);
  });

  it('unit is measured by reading all once', async () => {
    const { mean, std } = (await opened(shards, { normalize: 'unit' })).normalization as ScalarNormalization;
    const whole = (await readDataset(shards, { normalize: 'unit' })).normalization as ScalarNormalization;
    expect(mean).toBeCloseTo(whole.mean, 12);
    expect(std).toBeCloseTo(whole.std, 12);
  });

  it('with a value that is not finite are named by file and row when they are read', async () => {
    const broken = values.slice(0, 10 * in_dims);
    broken[7 * in_dims + 2] = Number.NaN;
    const file = folder.write('broken.npy', npy([10, in_dims], broken));
    const source = await opened([shards[0], file]);
    await source.read(0, 20);
    expect(await failure(DataError, () => source.read(0, 23))).toBe(
      `${file} has NaN at row 7, column 2 (both from 0; byte 304); expected finite numbers. Replace it or leave the row out.`,
    );
  });

  it('of a file that is changed meanwhile are not read', async () => {
    const file = folder.write('changing.npy', shard(0, 40));
    const source = await opened(file);
    await source.read(3, 4);
    writeFileSync(file, shard(0, 39));
    expect(await failure(DataError, () => source.read(3, 4))).toBe(
      `${file} was written to while it was read: it had 1,088 bytes, and now has 1,064. Begin again when it is complete.`,
    );
    const same = folder.write('as-long.npy', shard(0, 40));
    const unchanged = await opened(same);
    utimesSync(same, 1e9, 1e9);
    expect(await failure(DataError, () => unchanged.read(3, 4))).toBe(
      `${same} was written to while it was read: it has as many bytes as before, and another time of change. Begin again when it is complete.`,
    );
  });
});
