import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDataset } from '../../../src/node/data/read.js';
import { DataError } from '../../../src/sae/errors.js';
import { type DecodeOptions, decodeDataset } from '../../../src/sae/rows/decode.js';
import { failure, temporaryFolder } from './folder.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/rows/${name}`, import.meta.url));
const blobOf = (name: string) => new Blob([readFileSync(fixture(name))]);
const folder = temporaryFolder();
const floats = Float32Array.from({ length: 12 }, (_, k) => k / 2 - 3);
const bytes = Uint8Array.from({ length: 12 }, (_, k) => 20 * k);
const f32 = { rows_type: 'f32', in_dims: 4 } as const;

describe('what zstd packed', () => {
  const files: readonly [name: string, values: Float32Array | Uint8Array, options?: DecodeOptions][] = [
    ['rows.npy.zst', floats],
    ['piped.npy.zst', floats],
    ['frames.npy.zst', floats],
    ['rows.csv.zst', floats],
    ['rows.bin.zst', floats, f32],
    ['images.idx3-ubyte.zst', bytes],
  ];
  it.each(files)('%s', async (name, values, options = {}) => {
    expect((await readDataset(fixture(name), options)).data).toEqual(values);
    expect((await decodeDataset(blobOf(name), name, options)).data).toEqual(values);
  });

  it.each([
    ['wrong/tensors.safetensors.zst', /it is packed with zstd, and .* Unpack it with unzstd\./],
    ['wrong/bomb.npy.zst', /bomb\.npy\.zst goes on after byte 144 of the unpacked data/],
    ['wrong/terabytes.npy.zst', /so 4,000,000,000,128 bytes, but its 98 bytes of zstd cannot hold that/],
    ['wrong/window.npy.zst', /needs 2,147,483,648 bytes of memory to be unpacked; at most 134,217,728 are/],
  ])('%s', async (name, sentence) => {
    const before = process.memoryUsage().arrayBuffers;
    const message = await failure(DataError, () => readDataset(fixture(name)));
    expect(message).toMatch(sentence);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64e6);
    expect(await failure(DataError, () => decodeDataset(blobOf(name), name))).toBe(
      message.replaceAll(fixture(name), name),
    );
  });

  it('cut anywhere, or followed by something else', async () => {
    const whole = readFileSync(fixture('rows.npy.zst'));
    for (let length = 4; length < whole.length; length++) {
      expect(
        await failure(DataError, () => readDataset(folder.write('cut.zst', whole.subarray(0, length)))),
      ).toMatch(/cut\.zst is damaged or truncated: its zstd stream cannot be unpacked \(.+\)\. Copy/);
    }
    const followed = folder.write('followed.zst', Buffer.concat([whole, Buffer.from('and something more')]));
    expect(await failure(DataError, () => readDataset(followed))).toMatch(/its zstd stream cannot be/);
    const nothing = folder.write('nothing.zst', Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0));
    expect(await failure(DataError, () => readDataset(nothing))).toMatch(/neither .* inside its zstd, by/);
  });

  it('with a wrong byte: rows of that width, or a sentence', async () => {
    const whole = readFileSync(fixture('piped.npy.zst'));
    const mutated = fc.asyncProperty(
      fc.nat(whole.length - 1),
      fc.integer({ min: 1, max: 255 }),
      async (at, by) => {
        const content = Uint8Array.from(whole);
        content[at] ^= by;
        await decodeDataset(new Blob([content]), 'x').then(
          ({ data, in_dims }) => expect(data.length % in_dims).toBe(0),
          (error) => expect(error).toBeInstanceOf(DataError),
        );
      },
    );
    await fc.assert(mutated, { seed: 7, numRuns: 60 });
  });
});
