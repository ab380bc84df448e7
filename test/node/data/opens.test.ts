import { open } from 'node:fs/promises';
import { expect, it, vi } from 'vitest';
import { openDataset } from '../../../src/node/data/read.js';
import { bytes, npy } from '../../cli/sae.js';
import { temporaryFolder } from './folder.js';

vi.mock(import('node:fs/promises'), async (original) => {
  const files = await original();
  return { ...files, open: vi.fn(files.open) };
});

const folder = temporaryFolder();

it('of a folder of many files, each is opened twice before rows are read: as one of the folder, and for its header', async () => {
  const values = Float32Array.from(bytes(40 * 6), (byte) => byte / 8);
  for (let i = 0; i < 40; i++) folder.write(`x${i}.npy`, npy([1, 6], values.slice(6 * i, 6 * i + 6)));
  const source = await openDataset(folder.path, { most_memory: 1 });
  expect(vi.mocked(open).mock.calls.length).toBe(80);
  if (!('read' in source)) throw new Error('the rows are in memory');
  // In the natural order of their names, whichever was looked at first.
  expect(await source.read(0, 40)).toEqual(values);
  const files = vi
    .mocked(open)
    .mock.calls.slice(80)
    .map(([name]) => name);
  expect(files).toHaveLength(40);
  expect(new Set(files).size).toBe(40);
});
