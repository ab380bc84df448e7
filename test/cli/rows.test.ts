import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { bytes, npy, objects, sae, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
const fixtures = fileURLToPath(new URL('../fixtures/summary/', import.meta.url));
const byNumpy = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8'));

describe('sae rows', () => {
  it('tells what is there, with a picture of the norms', async () => {
    const { min, max, mean, std, zeros, norms, mean_norm, median_norm } = byNumpy['rows.npy'];
    const said = await succeeds(['rows', 'rows.npy'], { cwd: fixtures });
    const short = (value: number) => String(Number(value.toPrecision(4)));
    const lines = said.split('\n');
    const bars = lines.findIndex((line) => line.startsWith('norms')) + 1;
    expect(lines.slice(0, bars)).toEqual([
      'rows.npy  500 rows of 6, f32, .npy',
      `values      ${short(min)} to ${short(max)}, mean ${short(mean)}, standard deviation ${short(std)}`,
      `zeros       ${(100 * zeros).toPrecision(3)}%`,
      `normalize   by default, models get mean ${short(mean)} and standard deviation ${short(std)}; --normalize unit makes that 0 and 1`,
      'non-finite  5 values in 3 rows, left out of the other figures: NaN at row 2, column 3; -Infinity at row 7, column 1; ' +
        'Infinity at row 7, column 2; NaN at row 7, column 4; NaN at row 499, column 5 (from 0)',
      'copies      3 among 500 rows: row 300 is row 4 (from 0)',
      `norms       0 to ${short(norms.at(-1))}, mean ${short(mean_norm)}, median ${short(median_norm)}; 2 of norm 0`,
    ]);
    const drawn = lines.slice(bars, -1).map((line) => / +([\d,]+)(?: {2}(█*[▏▎▍▌▋▊▉]?))?$/.exec(line));
    const counts = drawn.map((match) => Number(match?.[1]));
    expect(counts.reduce((all, rows) => all + rows, 0)).toBe(497);
    const lengths = drawn.map((match) => match?.[2]?.length ?? 0);
    expect(lengths).toEqual(counts.map((rows) => Math.ceil((60 * rows) / Math.max(...counts))));
  });

  it('of one row, and of an array among others', async () => {
    const cwd = folder.make();
    writeFileSync(join(cwd, 'one.npy'), npy([1, 3], Float32Array.of(1, 2, 3)));
    writeFileSync(join(cwd, 'image.npy'), npy([1, 2, 2], bytes(4)));
    expect(await succeeds(['rows', 'one.npy'], { cwd })).toMatch(/^one\.npy {2}1 row of 3, f32, \.npy\n/);
    expect(await succeeds(['rows', 'image.npy'], { cwd })).toMatch(
      /\nimage\.npy {2}1 image of 2 x 2, u8, \.npy\n/,
    );
    const npz = fileURLToPath(new URL('../fixtures/data/one.npz', import.meta.url));
    expect(await succeeds(['rows', npz], { cwd })).toMatch(/one\.npz, array acts {2}3 rows of 4, f32/);
    const [found] = objects(await succeeds(['rows', npz, '--json'], { cwd }));
    expect(found.files).toMatchObject([{ file: `${npz}, array acts` }]);
  });

  it('says the same as JSON, of several files', async () => {
    const [found] = objects(await succeeds(['rows', 'rows.npy', 'rows.npy', '--json'], { cwd: fixtures }));
    expect(found).toMatchObject({
      files: [{ file: 'rows.npy', format: '.npy', type: 'f32', rows: 500 }],
      in_dims: 6,
      rows: 500,
      nonfinite: { values: 5, rows: 3 },
      duplicates: { rows: 3, sampled: 500 },
    });
    const cwd = folder.make();
    for (const name of ['a.npy', 'b.npy']) writeFileSync(join(cwd, name), npy([2, 4], bytes(8)));
    const both = ['rows', '*.npy', '--image_shape', '2,2'];
    expect(objects(await succeeds([...both, '--json'], { cwd }))).toEqual([
      expect.objectContaining({ in_dims: 4, image_shape: [2, 2], rows: 4 }),
    ]);
    const said = await succeeds(both, { cwd });
    expect(said).toContain(
      `a.npy  2 images of 2 x 2, u8, .npy\nb.npy  2 images of 2 x 2, u8, .npy\nrows        4\n`,
    );
    expect(said).toContain('units       8-bit values are divided by 255, as models get them\n');
    expect(said).toContain(`copies      2 among 4 rows: row 0 of b.npy is row 0 of a.npy (from 0)\n`);
    expect(await succeeds([...both, '--quiet'], { cwd })).toBe('');
  });

  it.each([
    [[], 2, /missing required argument 'paths'/],
    [['nowhere.npy'], 1, /There is no file nowhere\.npy\./],
    [['rows.npy', '--in_dims', 'x'], 2, /in_dims must be a whole number of at least 1, and is NaN\./],
    [['rows.npy', '--in_dims', '5'], 1, /rows\.npy has 6 values a row; expected 5/],
    [
      ['rows.npy', '--image_shape', '3'],
      2,
      /image_shape must be a height and a width in values, .* and is 3\./,
    ],
    [
      ['rows.npy', 'bytes.npy'],
      1,
      /bytes\.npy has 8-bit values, .*; expected values that are taken as they are/,
    ],
  ] as const)('%j is refused', async (args, status, stderr) => {
    const result = await sae(['rows', ...args], { cwd: fixtures });
    expect(result).toEqual({ status, stdout: expect.any(String), stderr: expect.stringMatching(stderr) });
  });
});
