import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeSparse } from '../../../src/node/data/write-sparse.js';
import { DataError } from '../../../src/sae/errors.js';
import { needsI64, RowPointers, widened } from '../../../src/sae/rows/csr.js';
import { openZip } from '../../../src/sae/rows/formats/zip.js';
import { failure, temporaryFolder } from './folder.js';

const folder = temporaryFolder();

// The rows of make.py.
const rows = Float32Array.of(0, 1.5, 0, -2, 0, 0, 0, 0, 3e-40, 0, -0, 0, 4, 5, 6, 7, 0, 0, 0, 0);
const blocks = [rows.subarray(0, 4), rows.subarray(4, 16), rows.subarray(16)];

/** The members of a ZIP archive, by their names. */
async function membersOf(content: Uint8Array): Promise<Record<string, Uint8Array>> {
  const source = {
    length: content.length,
    read: async (begin: number, into: Uint8Array) => into.set(content.subarray(begin, begin + into.length)),
  };
  const members = await openZip(source, (sentence) => {
    throw new Error(sentence);
  });
  const read = [...members].map(async ([name, member]) => [name, await member.readStart(2 ** 20)]);
  return Object.fromEntries(await Promise.all(read));
}

describe('writeSparse', () => {
  it('writes the arrays that SciPy writes', async () => {
    const file = join(folder.path, 'rows.npz');
    expect(await writeSparse(file, 'npz', [5, 4], blocks)).toBe(7);
    const byScipy = readFileSync(new URL('../../fixtures/sparse/rows.npz', import.meta.url));
    const members = await membersOf(readFileSync(file));
    expect(members).toEqual(await membersOf(byScipy));
    expect(Object.keys(members)).toHaveLength(5);
    // The same codes make the same file.
    const before = readFileSync(file);
    await writeSparse(file, 'npz', [5, 4], [rows]);
    expect(readFileSync(file)).toEqual(before);
    expect(readdirSync(folder.path)).toEqual(['rows.npz']);
  });

  it('leaves the old file, and nothing beside it, where the rows end in an error, are too few or are not waited for', async () => {
    const file = folder.write('old.npz', 'old');
    const before = readdirSync(folder.path);
    async function* failing() {
      yield rows;
      throw new DataError('in the middle');
    }
    expect(await failure(DataError, () => writeSparse(file, 'npz', [9, 4], failing()))).toBe('in the middle');
    await expect(writeSparse(file, 'safetensors', [9, 4], [rows])).rejects.toThrow('20 values for the shape');
    const stopped = new Error('enough');
    const signal = AbortSignal.abort(stopped);
    for (const format of ['npz', 'safetensors'] as const) {
      await expect(writeSparse(file, format, [5, 4], [rows], signal)).rejects.toBe(stopped);
    }
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(readdirSync(folder.path)).toEqual(before);
  });

  it('says what is wrong with a place where it cannot write, before it asks for rows', async () => {
    async function* never() {
      yield await Promise.reject<Float32Array>(new Error('asked for rows'));
    }
    const refusal = (file: string) => failure(DataError, () => writeSparse(file, 'npz', [3, 4], never()));
    expect(await refusal(join(folder.path, 'nowhere', 'x.npz'))).toMatch(
      /x\.npz cannot be written: the folder does not exist\.$/,
    );
    expect(await refusal(folder.path)).toMatch(/cannot be written: it is a folder/);
  });
});

describe('more values than an i32 counts', () => {
  const i64 = (words: Int32Array<ArrayBuffer>) => [...new BigInt64Array(words.buffer)];

  it('have indices of 64 bits', () => {
    expect([2 ** 31 - 1, 2 ** 31].map(needsI64)).toEqual([false, true]);
    expect(i64(widened(Int32Array.of(0, 7, 2 ** 31 - 1)))).toEqual([0n, 7n, 2n ** 31n - 1n]);
    const pointers = new RowPointers(true);
    expect(i64(pointers.first())).toEqual([0n]);
    const most = 2 ** 31 - 1;
    expect(i64(pointers.next(Int32Array.of(most, 1, 0, most)))).toEqual([
      2n ** 31n - 1n,
      2n ** 31n,
      2n ** 31n,
      2n ** 32n - 1n,
    ]);
    expect(i64(pointers.next(Int32Array.of(1, most)))).toEqual([2n ** 32n, 3n * 2n ** 31n - 1n]);
  });
});
