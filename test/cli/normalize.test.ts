import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readModelFile } from '../../src/node/index.js';
import { forward, toParameterSet } from '../reference/autoencoder.js';
import '../support/compare.js';
import { few } from '../support/long.js';
import { decodeNpy } from '../support/npy.js';
import { npy, objects, sae, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
const file = join('files', 'sae.safetensors');
const [rows, in_dims, latents] = [40, 6, 9];

interface Expected {
  readonly rows: number[][];
  readonly rms: number;
  readonly standardize: { readonly mean: number[]; readonly std: number[]; readonly normalized: number[][] };
  readonly row: { readonly normalized: number[][] };
  readonly zca: { readonly mean: number[]; readonly inverse: number[][]; readonly normalized: number[][] };
}
/** What numpy and scipy made of rows. */
const fixtures: Record<'f32' | 'u8', Expected> = JSON.parse(
  readFileSync(new URL('../fixtures/normalization/expected.json', import.meta.url), 'utf8'),
);
const floats = folder.write('f32.npy', npy([rows, in_dims], Float32Array.from(fixtures.f32.rows.flat())));
const bytes = folder.write('u8.npy', npy([rows, in_dims], Uint8Array.from(fixtures.u8.rows.flat())));
const data = { f32: floats, u8: bytes };

/** Rows as the model takes them, and how a reconstruction of a row is put into its units, in float64. */
const kinds: Record<
  string,
  (of: Expected) => { x: number[][]; undo: (y: number[], row: number) => number[] }
> = {
  rms: ({ rows, rms }) => ({
    x: rows.map((row) => row.map((value) => value / rms)),
    undo: (y) => y.map((value) => value * rms),
  }),
  standardize: ({ standardize: { mean, std, normalized } }) => ({
    x: normalized,
    undo: (y) => y.map((value, j) => 255 * (value * std[j] + mean[j])),
  }),
  row: ({ rows, row }) => ({
    x: row.normalized,
    undo: (y, i) => y.map((value) => value * Math.hypot(...rows[i])),
  }),
  zca: ({ zca: { mean, inverse, normalized } }) => ({
    x: normalized,
    undo: (y) => inverse.map((column, j) => column.reduce((sum, value, k) => sum + value * y[k], mean[j])),
  }),
};

/** Trains on rows that are normalised so, into `files`. */
async function train(kind: string, type: 'f32' | 'u8'): Promise<{ cwd: string; said: string }> {
  const cwd = folder.make();
  const args = ['--data', data[type], '--normalize', kind, '--h_dims', String(latents), '--epochs', '2'];
  const held = ['--validation', data[type]];
  const said = await succeeds([...args, ...held, '--save_model', '--no-save-plots', '--json'], { cwd });
  return { cwd, said };
}

describe('a model of rows that are normalised', () => {
  const all = [
    ['zca', 'f32'],
    ['rms', 'f32'],
    ['standardize', 'u8'],
    ['row', 'u8'],
  ] as const;
  it.each(few(all, 2))('by %s encodes and reconstructs %s as float64 does', async (kind, type) => {
    const { cwd, said } = await train(kind, type);
    const { config, parameters, normalization } = await readModelFile(join(cwd, file));
    const { x, undo } = kinds[kind](fixtures[type]);
    const expected = forward(
      { ...config, activation: 'relu' },
      toParameterSet(Object.fromEntries(parameters)),
      Float64Array.from(x.flat()),
    );
    const { validation } = objects(said).find((line) => 'validation' in line) as {
      validation: { mse: number };
    };
    const squares = expected.output.map((value, i) => (value - x.flat()[i]) ** 2);
    expect([validation.mse]).toBeCloseTensor(
      [squares.reduce((sum, value) => sum + value) / squares.length],
      1e-4,
    );

    const written = async (command: string) => {
      await succeeds([command, file, '--data', data[type], '--out', 'out.npy'], { cwd });
      return decodeNpy(readFileSync(join(cwd, 'out.npy'))).values;
    };
    expect(await written('encode')).toBeCloseTensor(expected.hidden, 1e-5);
    const output = x.flatMap((_, i) =>
      undo([...expected.output.subarray(i * in_dims, (i + 1) * in_dims)], i),
    );
    expect(await written('reconstruct')).toBeCloseTensor(output, 1e-5);

    const run = JSON.parse(readFileSync(join(cwd, 'files', 'run.json'), 'utf8'));
    const described =
      kind === 'zca'
        ? { kind, epsilon: expect.any(Number), rows }
        : kind === 'rms'
          ? normalization
          : { kind };
    expect(run.data.normalization).toEqual(described);
  });

  it('keeps it, whatever rows are given, and takes no other', async () => {
    const { cwd } = await train('standardize', 'u8');
    const before = (await readModelFile(join(cwd, file))).normalization;
    // One of these values does not vary, which would be told if they counted.
    const more = ['--init', file, '--data', floats, '--normalize', 'standardize', '--epochs', '1'];
    await succeeds([...more, '--save_model', '--no-save-plots'], { cwd });
    expect((await readModelFile(join(cwd, file))).normalization).toEqual(before);
    for (const other of ['zca', 'none', '1,2', 'rms']) {
      const command = ['reconstruct', file, '--data', floats, '--out', 'out.npy', '--normalize', other];
      const { status, stderr } = await sae(command, { cwd });
      expect([status, stderr]).toEqual([
        2,
        `sae: The model ${file} has normalize standardize, and the option normalize says otherwise. Leave the option out.\n`,
      ]);
    }
  });

  it('is exported with it, or not at all', async () => {
    const { cwd } = await train('row', 'f32');
    const { status, stderr } = await sae(['export', file, '--to', 'saelens', '--out', 'there'], { cwd });
    expect(status).toBe(1);
    expect(stderr).toMatch(/normalises each input row by itself \(normalize row\), which cannot be folded/);
    await succeeds(['export', file, '--to', 'onnx', '--out', 'there'], { cwd });
  });
});

it('rows that cannot be normalised so end in a sentence, and with nothing trained', async () => {
  const cwd = folder.make();
  const wide = folder.write('wide.npy', npy([2, 1025], new Float32Array(2050)));
  const zeros = folder.write('zeros.npy', npy([3, 4], new Float32Array(12)));
  for (const [kind, path, code, sentence] of [
    [
      'zca',
      wide,
      2,
      /^sae: normalize zca takes rows of at most 1,024 values, and those of wide\.npy have 1,025\./,
    ],
    ['zca', zeros, 1, /^sae: All rows of zeros\.npy are the same, or nearly so, and cannot be whitened\./],
    ['rms', zeros, 1, /^sae: All values of zeros\.npy are 0, or nearly so/],
  ] as const) {
    const { status, stdout, stderr } = await sae(['--data', path, '--normalize', kind], { cwd });
    expect([status, stdout]).toEqual([code, '']);
    expect(stderr).toMatch(sentence);
  }
});
