import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { openGpu } from '../../../src/node/adapters.js';
import { readDataset } from '../../../src/node/data/read.js';
import { readSnapshotFile } from '../../../src/node/snapshot-file.js';
import type { ModelOptions, TrainOptions } from '../../../src/sae/config.js';
import { Model } from '../../../src/sae/model/model.js';
import { decodeModel } from '../../../src/sae/model/saved-model.js';
import type { Dataset } from '../../../src/sae/rows/dataset.js';
import { fingerprint } from '../../../src/sae/rows/fingerprint.js';
import type { SparsityName } from '../../../src/sae/sparsity/index.js';
import type { Snapshot } from '../../../src/sae/training/snapshot.js';
import { readSnapshot, type SavedSnapshot, snapshotParts } from '../../../src/sae/training/snapshot-file.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { sameBits } from '../../support/device.js';
import { few, long } from '../../support/long.js';
import { byteRows, sameParameters } from '../../support/models.js';

const gpu = await openGpu();
afterAll(() => gpu.close());

async function fileOf<S extends SparsityName>(
  snapshot: Snapshot<S>,
  rows: Dataset,
): Promise<Uint8Array<ArrayBuffer>> {
  const saved: SavedSnapshot<S> = {
    snapshot,
    normalization: rows.normalization,
    fingerprint: 'of these rows',
    texts: new Map([['run', '{"epoch": 2}']]),
    arrays: new Map([['pictures', Uint8Array.of(1, 2, 3)]]),
  };
  const parts: Uint8Array[] = [];
  for await (const part of snapshotParts(saved)) parts.push(part.slice());
  return Uint8Array.from(Buffer.concat(parts));
}

const read = (bytes: Uint8Array) =>
  readSnapshot<SparsityName>(
    {
      length: bytes.length,
      read: async (begin, into) => into.set(bytes.subarray(begin, begin + into.length)),
    },
    'my.safetensors',
  );

const rows = byteRows(37, 9, 3);
const steps = 24;
const kinds: Record<string, [TrainOptions<SparsityName>, ModelOptions?]> = {
  kl: [{ sparsity: 'kl' }],
  'kl, tied weights, clipped': [
    { sparsity: 'kl', clip_norm: 0.1 },
    { h_dims: [12], tied: true },
  ],
  'kl, three layers': [{ sparsity: 'kl', shuffle: false }, { h_dims: [12, 8, 6] }],
  l1: [{ sparsity: 'l1', sparsity_warmup: 20, lr_decay: 'cosine' }],
  topk: [{ sparsity: 'topk', k: 4, k_decay: 15, revive: 'auxk', dead_after: 30 }],
  batchtopk: [{ sparsity: 'batchtopk', k: 2.5, revive: 'none' }],
  matryoshka: [{ sparsity: 'matryoshka', k: 3, matryoshka: [4, 8, 24], revive: 'auxk', dead_after: 30 }],
  jumprelu: [{ sparsity: 'jumprelu', revive: 'resample', resample_every: 7, dead_after: 10 }],
  none: [{ sparsity: 'none', revive: 'resample', resample_every: 5, dead_after: 10, decoder_norm: 'unit' }],
};

describe.each([
  ['resident', undefined],
  ['streamed', 10],
] as const)('a training goes on from a file to the same bits, %s', (_, window_rows) => {
  const own = few(Object.keys(kinds), window_rows === undefined ? 5 : 2);
  test.each(Object.entries(kinds).filter(([name]) => own.includes(name)))(
    '%s',
    async (_name, [options, model = {}]) => {
      const begin = async () => {
        const sizes = { in_dims: 9, h_dims: [24], ...model };
        const made = await Model.create<SparsityName>(
          gpu,
          sizes,
          { seed: 5, ...options } as TrainOptions<SparsityName>,
          rows,
        );
        return Trainer.create<SparsityName>(
          made,
          rows,
          { batch_size: 5, steps, lr: 0.02, seed: 5, ...options } as TrainOptions<SparsityName>,
          { window_rows },
        );
      };
      const whole = await begin();
      for await (const _ of whole.steps({ count: steps }));
      const expected = await whole.snapshot();
      // Before the first step, in a window, at the end of an epoch, at a resampling, near the end.
      for (const count of long ? [0, 3, 8, 14, 21] : [3, 14]) {
        const some = await begin();
        for await (const _ of some.steps({ count }));
        const { snapshot } = await read(await fileOf(await some.snapshot(), rows));
        expect(snapshot.done).toBe(count);
        const rest = await Trainer.resume<SparsityName>(gpu, rows, snapshot);
        for await (const _ of rest.steps({ count: steps - count }));
        const { seconds: _s, parameters, step, ...others } = await rest.snapshot();
        const { seconds: _t, parameters: same, step: sameStep, ...asExpected } = expected;
        expect(others).toEqual(asExpected);
        expect(sameParameters(parameters, same)).toBe(true);
        for (const kind of ['moments', 'pass', 'kept'] as const) {
          for (const [name, bytes] of sameStep[kind]) {
            expect(sameBits(new Float32Array(step[kind].get(name)!), new Float32Array(bytes)), name).toBe(
              true,
            );
          }
        }
        for (const trainer of [some, rest]) {
          trainer.close();
          trainer.model.close();
        }
      }
      whole.close();
      whole.model.close();
    },
  );
});

describe('a file', async () => {
  const model = await Model.create(gpu, { in_dims: 9, h_dims: [6] }, 1);
  const trainer = await Trainer.create(model, rows, { batch_size: 5, epochs: 2 });
  for await (const _ of trainer.steps({ count: 11 }));
  const snapshot = await trainer.snapshot();
  const bytes = await fileOf(snapshot, rows);
  trainer.close();

  test('has everything, bit for bit, and is one of the model as well', async () => {
    const saved = await read(bytes);
    expect(saved.snapshot).toEqual(snapshot);
    expect([...saved.texts, ...saved.arrays]).toEqual([
      ['run', '{"epoch": 2}'],
      ['pictures', Uint8Array.of(1, 2, 3)],
    ]);
    expect([saved.fingerprint, saved.normalization]).toEqual(['of these rows', rows.normalization]);
    const { config, parameters } = decodeModel(bytes, 'my.safetensors');
    expect([config, parameters]).toEqual([snapshot.model, snapshot.parameters]);
  });

  test('of which any byte is another, or that is cut short anywhere, is refused', async () => {
    // Of the header some bits are names that nothing reads, which the checksum finds.
    for (let at = 0; at < bytes.length; at += 97) {
      const damaged = bytes.slice();
      damaged[at] ^= 1 << (at % 8);
      await expect(read(damaged), `byte ${at}`).rejects.toThrow(
        /^my\.safetensors is not a (snapshot|model) that can be read: /,
      );
      await expect(read(bytes.subarray(0, at)), `${at} bytes`).rejects.toThrow(/that can be read: /);
    }
  });

  test('of version 1 is read, and gone on with', async () => {
    const folder = fileURLToPath(new URL('../../fixtures/snapshot/', import.meta.url));
    const own = await readDataset(join(folder, 'rows.npy'));
    const { snapshot, fingerprint: print } = await readSnapshotFile<'topk'>(
      join(folder, 'version-1.safetensors'),
    );
    expect([snapshot.done, print]).toEqual([5, await fingerprint(own)]);
    const resumed = await Trainer.resume(gpu, own, snapshot);
    const losses: number[] = [];
    for await (const { steps } of resumed.steps({ count: 7 })) losses.push(...steps.map(({ loss }) => loss));
    // Of the run that it was taken of, on Mesa's software adapter.
    [2.08383, 2.11959, 2.21269, 2.66504, 1.98337, 2.33294, 2.62403].forEach((loss, i) => {
      expect(Math.abs(losses[i] - loss) / loss).toBeLessThan(1e-4);
    });
    resumed.close();
    resumed.model.close();
  });

  test('of a later version, or of a model alone, is refused with a sentence', async () => {
    const later = Buffer.from(bytes);
    const at = later.indexOf('{\\"version\\":1');
    later[at + '{\\"version\\":'.length] = '2'.charCodeAt(0);
    await expect(read(Uint8Array.from(later))).rejects.toThrow(
      'my.safetensors is not a snapshot that can be read: its format is version 2, and this program reads up to 1. Use a later one.',
    );
    const other = Buffer.from(bytes);
    other.write('snapshoX', other.indexOf('"snapshot"') + 1);
    await expect(read(Uint8Array.from(other))).rejects.toThrow('it has no field snapshot');
  });
});

describe('the fingerprint of rows', () => {
  test('is the SHA-256 of what they are', async () => {
    // python3 -c "import hashlib as h; d=lambda b: h.sha256(b).digest(); print(h.sha256(d(b'u8 3 4')+d(bytes(range(12)))).hexdigest())"
    const dataset = { ...byteRows(4, 3, 1), data: Uint8Array.from({ length: 12 }, (_, i) => i) };
    const expected = 'f6a82d79ca8d1f6657e95a838f2f9ec2681cda3a4d4e208a5e5a4e8113351cde';
    expect(await fingerprint(dataset)).toBe(expected);
    const read = (first: number, end: number) => dataset.data.subarray(first * 3, end * 3);
    const { data: _, ...others } = dataset;
    expect(await fingerprint({ ...others, name: 'elsewhere', type: 'u8', read })).toBe(expected);
  });

  test.runIf(long)('of more than 256 MiB looks at some, from the first to the last', async () => {
    const [many, width] = [2 ** 20, 300];
    const values = (row: number, changed?: number) => (row === changed ? 7 : row % 251);
    const source = (changed?: number) => ({
      ...byteRows(1, width, 1),
      data: undefined,
      rows: many,
      type: 'u8' as const,
      read: (first: number, end: number) =>
        Uint8Array.from({ length: (end - first) * width }, (_, i) =>
          values(first + Math.floor(i / width), changed),
        ),
    });
    const own = await fingerprint(source());
    for (const changed of [0, many - 1]) expect(await fingerprint(source(changed))).not.toBe(own);
    expect(await fingerprint(source())).toBe(own);
  });
});
