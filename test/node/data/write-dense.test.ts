import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDataset } from '../../../src/node/data/read.js';
import { writeNpy } from '../../../src/node/data/write-dense.js';
import { DataError } from '../../../src/sae/errors.js';
import { failure, temporaryFolder } from './folder.js';

const folder = temporaryFolder();
const floats = Float32Array.from({ length: 12 }, (_, k) => k / 2 - 3);

describe('writeNpy', () => {
  it('writes the bytes that numpy writes', async () => {
    const file = join(folder.path, 'same.npy');
    await writeNpy(file, [3, 4], [floats.subarray(0, 4), floats.subarray(4, 12)]);
    expect(readFileSync(file)).toEqual(
      readFileSync(new URL('../../fixtures/data/little-f4.npy', import.meta.url)),
    );
    expect(readdirSync(folder.path)).toEqual(['same.npy']);
  });

  it('what is written is read back, whatever the shape and the blocks', async () => {
    const file = join(folder.path, 'random.npy');
    const shapes = fc.tuple(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 50 }),
    );
    await fc.assert(
      fc.asyncProperty(shapes, fc.integer(), async ([rows, values, block], seed) => {
        const data = Float32Array.from(
          { length: rows * values },
          (_, k) => Math.sin(k + seed) * 10 ** ((k % 60) - 30),
        );
        // One buffer for all blocks, as a reader of device memory has it: each must be on disk before the next.
        async function* blocks() {
          const reused = new Float32Array(block);
          for (let i = 0; i < data.length; i += block) {
            const part = data.subarray(i, i + block);
            reused.set(part);
            yield reused.subarray(0, part.length);
          }
        }
        await writeNpy(file, [rows, values], blocks());
        const back = await readDataset(file, { in_dims: values });
        expect(back.rows).toBe(rows);
        expect(back.data).toEqual(data);
        expect(readFileSync(file).indexOf('\n') % 64).toBe(63);
      }),
      { numRuns: 50 },
    );
  });

  it('leaves the old file, and nothing beside it, where the rows end in an error or are too few or too many', async () => {
    const file = join(folder.path, 'old.npy');
    writeFileSync(file, 'old');
    const before = readdirSync(folder.path);
    async function* failing() {
      yield floats;
      throw new DataError('in the middle');
    }
    expect(await failure(DataError, () => writeNpy(file, [6, 4], failing()))).toBe('in the middle');
    await expect(writeNpy(file, [4, 4], [floats])).rejects.toThrow(
      'There are 12 values for the shape (4, 4)',
    );
    await expect(writeNpy(file, [2, 4], [floats])).rejects.toThrow(
      'There are 12 values for the shape (2, 4)',
    );
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(readdirSync(folder.path)).toEqual(before);
  });

  it('says what is wrong with a place where it cannot write, before it asks for rows', async () => {
    async function* never() {
      yield await Promise.reject<Float32Array>(new Error('asked for rows'));
    }
    const refusal = (file: string) => failure(DataError, () => writeNpy(file, [3, 4], never()));
    expect(await refusal(join(folder.path, 'nowhere', 'x.npy'))).toMatch(
      /cannot be written: the folder does not exist/,
    );
    expect(await refusal(join(folder.write('file', ''), 'x.npy'))).toMatch(/a part of its path is a file/);
    expect(await refusal(folder.path)).toMatch(/cannot be written: it is a folder/);
  });
});
