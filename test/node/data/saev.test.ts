import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findDataFiles } from '../../../src/node/data/find.js';
import { readDataset } from '../../../src/node/data/read.js';
import { rowsFile } from '../../../src/node/data/rows-file.js';
import { DataError } from '../../../src/sae/errors.js';
import { saev } from '../../../src/sae/rows/formats/saev.js';
import { failure, temporaryFolder } from './folder.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/rows/${name}`, import.meta.url));
const folder = temporaryFolder();

/** What make.py put there: 1000 example + 100 layer + 10 token + d. */
function values(examples: number, layer: number, tokens: number): number[] {
  const count = (n: number) => Array.from({ length: n }, (_, i) => i);
  return count(examples).flatMap((e) =>
    count(tokens).flatMap((t) => count(4).map((d) => 1000 * e + 100 * layer + 10 * t + d)),
  );
}

/** A copy of a folder in which something is changed. */
let copies = 0;
function changed(name: string, change: (path: string) => void): string {
  const path = join(folder.path, `${name}-${copies++}`);
  cpSync(fixture(name), path, { recursive: true });
  change(path);
  return path;
}

function edited(file: string, edit: (json: never) => unknown): (path: string) => void {
  return (path) => {
    const json = JSON.parse(readFileSync(join(path, file), 'utf8'));
    writeFileSync(join(path, file), JSON.stringify(edit(json as never)));
  };
}

describe('folders of saev', () => {
  it.each([3, 7])('of two layers: %i', async (layer) => {
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    const path = fixture('saev');
    const { data, rows, in_dims, name } = await readDataset(path, { tensor: String(layer), onNote });
    expect([...data]).toEqual(values(5, layer, 3));
    expect([rows, in_dims, name]).toEqual([15, 4, 'acts000000.bin and 2 more files']);
    expect(notes).toEqual([
      expect.stringMatching(
        /acts000000\.bin, layer \d, has the shape \(2, 3, 4\) and is read as 6 rows .* The same goes for 2 more files\.$/,
      ),
      expect.stringMatching(/^Of the 3 tokens of an example of .*, the first is \[CLS\]\. The same goes/),
    ]);
  });

  it('of one layer, whose last file is empty', async () => {
    const { data, rows } = await readDataset(fixture('saev-one-layer'));
    expect([rows, [...data]]).toEqual([12, values(4, 11, 3)]);
  });

  it('rows from their places', async () => {
    const file = await rowsFile(join(fixture('saev'), 'acts000001.bin'));
    const { at, rows } = await saev.open(file, { tensor: '7' });
    const all = values(4, 7, 3).slice(6 * 4);
    for (let first = 0; first < rows!; first++) {
      for (let end = first + 1; end <= rows!; end++) {
        expect([...(await at!(first, end))]).toEqual(all.slice(4 * first, 4 * end));
      }
    }
  });

  it('in a folder among others, or by their names', async () => {
    const path = changed('saev', (copy) => {
      writeFileSync(join(copy, 'labels.bin'), 'x');
      // Not one of saev's by its name.
      writeFileSync(join(copy, 'acts1.bin'), 'x');
    });
    const { files, notes } = await findDataFiles(path);
    expect(files).toEqual([0, 1, 2].map((i) => join(path, `acts00000${i}.bin`)));
    expect(notes).toEqual([`In ${path} these are not read: acts1.bin, labels.bin.`]);
    const { data } = await readDataset(join(path, 'acts000002.bin'), { tensor: '3' });
    expect([...data]).toEqual(values(5, 3, 3).slice(4 * 12));
    // A file of that name without metadata is none of them.
    rmSync(join(path, 'metadata.json'));
    const raw = { rows_type: 'f32', in_dims: 4 } as const;
    expect((await readDataset(files[0], raw)).rows).toBe(12);
    expect(await failure(DataError, () => readDataset(files[0]))).toMatch(/neither a \.npy, .* a saev, /);
  });

  const faults: readonly [what: string, change: (path: string) => void, sentence: RegExp][] = [
    [
      'a file that is missing',
      (path) => rmSync(join(path, 'acts000001.bin')),
      /There is no file .*acts000001\.bin\./,
    ],
    [
      'a file that is cut',
      (path) => writeFileSync(join(path, 'acts000001.bin'), new Uint8Array(191)),
      /acts000001\.bin has 191 bytes; expected 192, 2 examples \(shards\.json\) of 2 layers, 3 tokens and 4 values/,
    ],
    [
      'more examples than a file has room for',
      edited('shards.json', (shards: { n_examples: number }[]) => [
        { ...shards[0], n_examples: 3 },
        ...shards.slice(1),
      ]),
      /acts000000\.bin has 192 bytes; expected 288, 3 examples/,
    ],
    [
      'a file that is not listed',
      edited('shards.json', (shards: object[]) => shards.slice(0, 2)),
      /acts000002\.bin is not in the shards\.json beside it; expected an array with \{ "name": "acts000002\.bin"/,
    ],
    ['a list that is none', edited('shards.json', () => ({})), /is not in the shards\.json beside it/],
    [
      'a list with a path',
      edited('shards.json', () => [{ name: '../acts000000.bin', n_examples: 1 }]),
      /acts000000\.bin is not in the shards\.json/,
    ],
    ['no list', (path) => rmSync(join(path, 'shards.json')), /The shards\.json beside .* it is not there/],
    [
      'metadata that is no JSON',
      (path) => writeFileSync(join(path, 'metadata.json'), '{'),
      /The metadata\.json beside .*acts000000\.bin cannot be read: it is not JSON\./,
    ],
    [
      'metadata that is null',
      edited('metadata.json', () => null),
      /has layers undefined; expected the numbers/,
    ],
    ...[
      ['d_model', -4, /has d_model -4; expected a whole number of at least 1/] as const,
      ['d_model', 1e300, /has d_model 1e\+300; expected/] as const,
      [
        'content_tokens_per_example',
        undefined,
        /has content_tokens_per_example undefined; expected/,
      ] as const,
      ['layers', [], /has layers \[\]; expected the numbers of layers/] as const,
      ['layers', [1.5], /has layers \[1\.5\]; expected/] as const,
      ['cls_token', 1, /has cls_token 1; expected true or false/] as const,
      ['dtype', 'float16', /has dtype "float16"; expected "float32"/] as const,
    ].map(
      ([field, value, sentence]) =>
        [
          `${field} ${value}`,
          edited('metadata.json', (json: object) => ({ ...json, [field]: value })),
          sentence,
        ] as [string, (path: string) => void, RegExp],
    ),
  ];
  it.each(faults)('with %s', async (_, change, sentence) => {
    const path = changed('saev', change);
    expect(await failure(DataError, () => readDataset(path, { tensor: '3' }))).toMatch(sentence);
  });

  it('of which the layer is not clear, or not there', async () => {
    const read = (tensor?: string) => failure(DataError, () => readDataset(fixture('saev'), { tensor }));
    expect(await read()).toMatch(
      /acts000000\.bin has 2 arrays that may be rows; there are 3 \(f32 \[2, 3, 4\]\), 7 .* Name one with tensor/,
    );
    expect(await read('4')).toMatch(/has no array 4; there are 3/);
  });

  it('with values that are not finite, at their place', async () => {
    const path = changed('saev', (copy) => {
      const bytes = readFileSync(join(copy, 'acts000001.bin'));
      // Example 1, layer 7, token 2, value 3.
      bytes.writeFloatLE(Number.NaN, 4 * (4 * (3 * (2 * 1 + 1) + 2) + 3));
      writeFileSync(join(copy, 'acts000001.bin'), bytes);
    });
    expect(await failure(DataError, () => readDataset(path, { tensor: '7' }))).toMatch(
      /acts000001\.bin, layer 7, has NaN at row 5, column 3 \(both from 0; byte 188\)/,
    );
    expect((await readDataset(path, { tensor: '3' })).rows).toBe(15);
  });

  it('with a wrong byte in their lists: the same rows, fewer, or a sentence', async () => {
    const path = changed('saev-one-layer', () => {});
    const files = ['metadata.json', 'shards.json'];
    const whole = files.map((name) => readFileSync(join(path, name)));
    const mutation = fc.tuple(fc.nat(1), fc.nat(400), fc.integer({ min: 1, max: 255 }));
    const property = fc.asyncProperty(mutation, async ([which, at, by]) => {
      const bytes = Buffer.from(whole[which]);
      bytes[at % bytes.length] ^= by;
      writeFileSync(join(path, files[which]), bytes);
      try {
        const { data, in_dims } = await readDataset(path);
        expect(data.length % in_dims).toBe(0);
      } catch (error) {
        expect(error).toBeInstanceOf(DataError);
      } finally {
        writeFileSync(join(path, files[which]), whole[which]);
      }
    });
    await fc.assert(property, { seed: 7, numRuns: 150 });
  });
});
