import { fileURLToPath } from 'node:url';
import { beforeEach, expect, it, vi } from 'vitest';
import { openDataset, readDataset } from '../../../src/node/data/read.js';
import { rowsFile } from '../../../src/node/data/rows-file.js';
import { arrow } from '../../../src/sae/rows/formats/arrow.js';
import { unpackLz4 } from '../../../src/sae/rows/formats/lz4.js';

vi.mock(import('../../../src/sae/rows/formats/lz4.js'), async (original) => {
  const lz4 = await original();
  return { ...lz4, unpackLz4: vi.fn(lz4.unpackLz4) };
});
const unpacked = vi.mocked(unpackLz4);
beforeEach(() => {
  unpacked.mockClear();
});

// Two batches, with a compressed buffer of offsets and one of values each.
const file = fileURLToPath(new URL('../../fixtures/tables/list-f32-lz4.arrows', import.meta.url));

it('batches of an Arrow file are unpacked once, however often their rows are read', async () => {
  const { rows, in_dims, data } = await readDataset(file);
  const once = unpacked.mock.calls.length;
  expect(once).toBeGreaterThan(1);
  unpacked.mockClear();
  const source = await openDataset(file, { most_memory: 1 });
  if (!('read' in source)) throw new Error('the rows are in memory');
  for (let i = 0; i < 5 * rows; i++) {
    const row = (5 * i) % rows;
    expect(await source.read(row, row + 1)).toEqual(data.subarray(row * in_dims, (row + 1) * in_dims));
  }
  expect(unpacked).toHaveBeenCalledTimes(once);
});

it('rows that are read at once are unpacked once', async () => {
  const { at } = await arrow.open(await rowsFile(file), {});
  await at!(0, 1);
  const before = unpacked.mock.calls.length;
  // In the other batch.
  await Promise.all([at!(10, 11), at!(11, 12), at!(10, 12)]);
  expect(unpacked.mock.calls.length - before).toBe(1);
});
