import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { loadDatasets } from '../../../src/node/data/datasets.js';
import { findDataFiles } from '../../../src/node/data/find.js';
import { readDataset } from '../../../src/node/data/read.js';
import { ConfigError, DataError } from '../../../src/sae/errors.js';
import { mnistNormalization } from '../../../src/sae/rows/dataset.js';
import { decodeDataset } from '../../../src/sae/rows/decode.js';
import { npy } from '../../cli/sae.js';
import { failure, temporaryFolder } from './folder.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/rows/${name}`, import.meta.url));
const folder = temporaryFolder();
const greys: Record<string, number[]> = JSON.parse(readFileSync(fixture('images.json'), 'utf8'));
const colours: Record<string, number[]> = JSON.parse(readFileSync(fixture('colours.json'), 'utf8'));
const names = Object.keys(greys);
const refusal = (path: string | string[], options = {}) =>
  failure(DataError, () => readDataset(path, options));

describe('images', () => {
  it.each(names)('%s: grey values as numpy has them', async (name) => {
    const dataset = await readDataset(fixture(`images/${name}`));
    const { data, ...others } = dataset;
    expect(others).toEqual({
      name,
      rows: 1,
      in_dims: 12,
      image_shape: [3, 4],
      normalization: mnistNormalization,
    });
    expect(data).toBeInstanceOf(Uint8Array);
    // Decoders of JPEG differ by a level or two.
    const off = name.endsWith('.jpg') ? 2 : 0;
    for (const [i, value] of data.entries())
      expect(Math.abs(value - greys[name][i]), name).toBeLessThanOrEqual(off);
  });

  it.each(names)('%s: red, green and blue as numpy has them', async (name) => {
    const notes: string[] = [];
    const path = fixture(`images/${name}`);
    const own = { onNote: (note: string) => notes.push(note) };
    const { data, in_dims, image_shape } = await readDataset(path, { ...own, image_shape: [3, 4, 3] });
    expect([data.length, in_dims, image_shape, notes]).toEqual([36, 36, [3, 4, 3], []]);
    const off = name.endsWith('.jpg') ? 2 : 0;
    for (const [i, value] of data.entries())
      expect(Math.abs(value - colours[name][i]), name).toBeLessThanOrEqual(off);
    // As a model was trained that takes them.
    const { data: trained } = await readDataset(path, { in_dims: 36, trained_shape: [3, 4, 3] });
    expect(trained).toEqual(data);
    await readDataset(path, own);
    const said = `${path} is in colour, and is read as greys; --image_shape 3,4,3 keeps the colours.`;
    // A GIF has a palette, whatever its colours are.
    expect(notes).toEqual(name.startsWith('grey') ? [] : [said]);
    await readDataset(path, { ...own, trained_shape: [3, 4] });
    expect(notes.length).toBeLessThan(2);
  });

  it('in arrays, colours last', async () => {
    const values = Uint8Array.from({ length: 48 }, (_, i) => 5 * i);
    const floats = Float32Array.from(values, (value) => value / 7);
    const bytes = folder.write('colours.npy', npy([2, 2, 4, 3], values));
    const own = { rows: 2, in_dims: 24, image_shape: [2, 4, 3] };
    expect(await readDataset(bytes)).toMatchObject({ ...own, data: values });
    const image_shape = [2, 4, 3] as const;
    expect(await readDataset(bytes, { image_shape })).toMatchObject({ ...own, data: values });
    for (const shape of [
      [2, 2, 4, 3],
      [2, 24],
    ]) {
      const file = folder.write('floats.npy', npy(shape, floats));
      expect(await readDataset(file, { image_shape })).toMatchObject({ ...own, data: floats });
    }
    expect(await refusal(folder.write('first.npy', npy([2, 3, 2, 4], values)), { image_shape })).toMatch(
      /first\.npy has the shape \(2, 3, 2, 4\), in which red, green and blue lie apart; expected them last, \(rows, 2, 4, 3\), as numpy/,
    );
    expect(await failure(ConfigError, () => readDataset(bytes, { image_shape: [2, 4] }))).toMatch(
      /image_shape 2,4 is that of 8 values, and the rows of .* have 24\. Name a .* is 24, or a third of that and 3, or/,
    );
  });

  it('of a folder, in the natural order of their names, beside other rows', async () => {
    const path = fixture('images');
    const { files } = await findDataFiles(path);
    expect(files).toHaveLength(readdirSync(path).length);
    const { rows, data, image_shape } = await readDataset(path);
    expect([rows, image_shape]).toEqual([names.length, [3, 4]]);
    files.forEach((file, row) => {
      const name = file.slice(path.length + 1);
      if (!name.endsWith('.jpg')) expect([...data.subarray(12 * row, 12 * (row + 1))]).toEqual(greys[name]);
    });
    const array = folder.write(
      'rows.npy',
      npy(
        [2, 3, 4],
        Uint8Array.from({ length: 24 }, (_, i) => i),
      ),
    );
    expect((await readDataset([path, array])).rows).toBe(names.length + 2);
    // Avif, which PIL does not write, of one grey.
    const avif = await sharp({ create: { width: 4, height: 3, channels: 3, background: '#808080' } })
      .avif({ lossless: true })
      .toBuffer();
    const { data: grey } = await readDataset(folder.write('grey.avif', avif));
    for (const value of grey) expect(Math.abs(value - 128)).toBeLessThanOrEqual(1);
    const packed = folder.write('packed.gz', gzipSync(readFileSync(fixture('images/rgb.png'))));
    expect([...(await readDataset(packed)).data]).toEqual(greys['rgb.png']);
  });

  it('are stretched to image_shape, which is said', async () => {
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    const { data, image_shape } = await readDataset(fixture('halves.png'), { image_shape: [2, 8], onNote });
    expect(image_shape).toEqual([2, 8]);
    for (const [i, value] of data.entries()) {
      const side = i % 8;
      if (side < 3) expect(value).toBeLessThan(16);
      if (side > 4) expect(value).toBeGreaterThan(239);
    }
    expect(notes).toEqual([
      expect.stringMatching(/halves\.png has 32 x 64 pixels \(height x width\), and is resized to 2 x 8\.$/),
    ]);
    // Those that a model was trained on, and held-out ones beside others.
    const trained = await readDataset(fixture('halves.png'), { in_dims: 16, trained_shape: [2, 8] });
    expect(trained.data).toEqual(data);
    const own = { trained_shape: [2, 8], image_shape: [4, 4] } as const;
    expect((await readDataset(fixture('halves.png'), own)).image_shape).toEqual([4, 4]);
    const { validation } = await loadDatasets({
      data: fixture('images/rgb.png'),
      validation: fixture('halves.png'),
    });
    expect([validation?.rows, validation?.image_shape]).toEqual([1, [3, 4]]);
    const mixed = [fixture('halves.png'), fixture('images/rgb.png')];
    expect((await readDataset(mixed, { image_shape: [3, 4] })).rows).toBe(2);
  });

  it('of other sizes, of another width, damaged, or of no size', async () => {
    const other = fixture('wrong/other-size.png');
    expect(await refusal([fixture('images/rgb.png'), other])).toMatch(
      /other-size\.png has images of 4 x 3 values \(height x width\); expected 3 x 4, as in .*rgb\.png\. image_shape resizes them, such as --image_shape 3,4\./,
    );
    expect(await refusal(other, { in_dims: 784 })).toMatch(/has 12 values a row; expected 784 \(in_dims/);
    expect(await refusal(fixture('wrong/cut.png'))).toMatch(
      /cut\.png cannot be decoded as an image: .+\. It is/,
    );
    expect(await refusal(fixture('wrong/no-pixels.png'))).toMatch(
      /no-pixels\.png cannot be decoded as an image/,
    );
    const page = () => decodeDataset(new Blob([readFileSync(other)]), 'x.png');
    expect(await failure(DataError, page)).toMatch(
      /x\.png is an image, .* imagesDataset makes rows of images/,
    );
  });

  it('whose size is said after their first 64 KiB', async () => {
    // A TIFF has its directory where its header says: here, at its end.
    const whole = await sharp(Buffer.alloc(300 * 300 * 3, 77), {
      raw: { width: 300, height: 300, channels: 3 },
    })
      .tiff({ compression: 'none' })
      .toBuffer();
    expect(whole.readUInt32LE(4)).toBeGreaterThan(2 ** 16);
    const { image_shape, data } = await readDataset(folder.write('end.tif', whole));
    expect([image_shape, new Set(data)]).toEqual([[300, 300], new Set([77])]);
  });

  it('with a wrong byte: pixels, or a sentence', async () => {
    for (const name of ['rgb.png', 'lossless.webp', 'palette.gif']) {
      const whole = Uint8Array.from(readFileSync(fixture(`images/${name}`)));
      const mutated = fc.asyncProperty(
        fc.nat(whole.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, by) => {
          const content = whole.slice();
          content[at] ^= by;
          await readDataset(folder.write('mutated', content)).then(
            ({ data, in_dims }) => expect(data.length).toBe(in_dims),
            (error) => expect(error).toBeInstanceOf(DataError),
          );
        },
      );
      await fc.assert(mutated, { seed: 7, numRuns: 60 });
    }
  });
});
