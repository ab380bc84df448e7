import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readDataset } from '../../../src/node/data/read.js';
import { DataError } from '../../../src/sae/errors.js';
import { decodeDataset } from '../../../src/sae/rows/decode.js';
import { failure, temporaryFolder } from '../../node/data/folder.js';
import { long } from '../../support/long.js';

const fixtures = fileURLToPath(new URL('../../fixtures/data/', import.meta.url));
const folder = temporaryFolder();
const names = readdirSync(fixtures, { recursive: true, encoding: 'utf8' }).filter(
  (name) => !['make.py', 'types.json', 'wrong'].includes(name),
);
const bytesOf = (name: string) => readFileSync(join(fixtures, name));
const refusal = (bytes: Uint8Array<ArrayBuffer>, name: string, in_dims?: number) =>
  failure(DataError, () => decodeDataset(new Blob([bytes]), name, { in_dims }));

describe('a file that a page was given is decoded, or refused, as one on disk', () => {
  it.each(names.filter((name) => !name.startsWith('wrong')))('%s', async (name) => {
    const options = name.startsWith('two.') ? { tensor: '*1*' } : {};
    const decoded = await decodeDataset(new Blob([bytesOf(name)]), name, options);
    expect(decoded).toEqual(await readDataset(join(fixtures, name), options));
    const zipped = await decodeDataset(new Blob([gzipSync(bytesOf(name))]), name).catch(() => undefined);
    expect(zipped?.data).toEqual(/\.(gz|npz|safetensors)$/.test(name) ? undefined : decoded.data);
  });

  it.each(names.filter((name) => name.startsWith('wrong')))('%s', async (name) => {
    const file = join(fixtures, name);
    const onDisk = await failure(DataError, () => readDataset(file));
    expect(await refusal(bytesOf(name), name)).toBe(onDisk.replaceAll(file, name));
  });

  it.each(['little-f4.npy', 'images.idx3-ubyte', 'rows-f32.safetensors', 'one.npz'])(
    '%s, cut anywhere or longer',
    async (name) => {
      const whole = bytesOf(name);
      // In short some of the lengths after the start and before the end.
      const step = (length: number) => (long || length < 30 || length > whole.length - 4 ? 1 : 37);
      for (let length = 0; length <= whole.length + 1; length += step(length)) {
        if (length === whole.length) continue;
        const bytes = new Uint8Array(length);
        bytes.set(whole.subarray(0, length));
        for (const content of [bytes, new Uint8Array(gzipSync(bytes))]) {
          const file = folder.write('x', content);
          const onDisk = await failure(DataError, () => readDataset(file));
          expect(await refusal(content, 'x')).toBe(onDisk.replaceAll(file, 'x'));
        }
      }
    },
  );

  it('of another width than is asked for', async () => {
    expect(await refusal(bytesOf('u1.npy'), 'u1.npy', 784)).toMatch(
      /^u1\.npy has 4 values a row; expected 784/,
    );
  });
});

it('in pieces of any size', async () => {
  const values = Float64Array.from({ length: 70_001 }, (_, i) => Math.fround(Math.sin(i)));
  const header = Buffer.alloc(12);
  header.set([0, 0, 14, 2]);
  header.writeUInt32BE(1, 4);
  header.writeUInt32BE(values.length, 8);
  const whole = Buffer.concat([header, Buffer.from(values.slice().buffer).swap64()]);
  const blob = new Blob([whole]);
  blob.stream = () =>
    new ReadableStream({
      start(controller) {
        for (let at = 0, piece = 1; at < whole.length; at += piece, piece = (piece * 3) % 997) {
          controller.enqueue(new Uint8Array(whole.subarray(at, at + piece)));
        }
        controller.close();
      },
    });
  const { data, rows, in_dims } = await decodeDataset(blob, 'long.idx');
  expect([rows, in_dims]).toEqual([1, values.length]);
  expect(data).toEqual(Float32Array.from(values));
});

describe('a gzip stream', () => {
  it('that is cut anywhere, damaged or followed by something else', async () => {
    const whole = bytesOf('little-f4.npy.gz');
    const sentence =
      /^x is damaged or truncated: its gzip stream cannot be unpacked \(.+\)\. Copy or download/;
    for (let length = 3; length < whole.length; length++) {
      expect(await refusal(new Uint8Array(whole.subarray(0, length)), 'x')).toMatch(sentence);
    }
    const damaged = new Uint8Array(whole);
    damaged[damaged.length - 6] ^= 1; // in the checksum
    expect(await refusal(damaged, 'x')).toMatch(sentence);
    expect(await refusal(new Uint8Array(Buffer.concat([whole, Buffer.from('more')])), 'x')).toMatch(sentence);
  });

  it('that unpacks to far more than its header claims', async () => {
    const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }\n`;
    const start = Buffer.from([
      0x93,
      ...Buffer.from('NUMPY'),
      1,
      0,
      header.length,
      0,
      ...Buffer.from(header),
    ]);
    const bomb = gzipSync(Buffer.concat([start, Buffer.alloc(50_000_000)]), { level: 1 });
    expect(await refusal(new Uint8Array(bomb), 'bomb')).toMatch(/^bomb goes on after byte/);
  });
});

it('of more bytes than are wanted', async () => {
  const bytes = bytesOf('u1.npy');
  const limit = (most_bytes: number) => () => decodeDataset(new Blob([bytes]), 'u1.npy', { most_bytes });
  expect(await failure(DataError, limit(bytes.length - 1))).toMatch(
    new RegExp(
      `, so ${bytes.length} bytes; at most ${bytes.length - 1} are accepted here\\. Use fewer rows\\.$`,
    ),
  );
  expect(await limit(bytes.length)()).toEqual(await decodeDataset(new Blob([bytes]), 'u1.npy'));
});

it('a file that can no longer be read', async () => {
  const blob = new Blob([bytesOf('u1.npy')]);
  const fails = () =>
    Promise.reject(new DOMException('It has changed since it was chosen.', 'NotReadableError'));
  const slice = blob.slice.bind(blob);
  // The first two bytes can.
  blob.slice = (begin, end) => Object.assign(slice(begin, end), end === 2 ? {} : { arrayBuffer: fails });
  expect(await failure(DataError, () => decodeDataset(blob, 'u1.npy'))).toBe(
    'u1.npy cannot be read: It has changed since it was chosen.',
  );
});
