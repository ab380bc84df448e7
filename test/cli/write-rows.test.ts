import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { encodeModel } from '../../src/node/index.js';
import { forward, type ReferenceConfig, randomParameters, toParameterSet } from '../reference/autoencoder.js';
import { seededRandom } from '../reference/random.js';
import { long } from '../support/long.js';
import '../support/compare.js';
import { decodeNpy } from '../support/npy.js';
import { bytes, filesIn, npy, objects, readSafetensors, sae, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
const [mean, std] = [0.3, 0.7];

/** A model file with random weights, and what float64 makes of rows. */
function made(name: string, config: ReferenceConfig) {
  const parameters = randomParameters(config, seededRandom(5));
  const { in_dims, h_dims, activation, pre_bias } = config;
  const file = folder.write(
    name,
    encodeModel({
      config: {
        in_dims,
        h_dims: [...h_dims],
        activation,
        ...(pre_bias && { pre_bias }),
        ...(config.k !== undefined && { selection: { topk: config.k } }),
      },
      parameters: new Map(
        Object.entries(parameters).map(([key, { shape, data }]) => [
          key,
          { shape, data: Float32Array.from(data) },
        ]),
      ),
      normalization: { mean, std },
    }),
  );
  const reconstructed = (x: ArrayLike<number>) => {
    const input = Float64Array.from(x, (value) => (value - mean) / std);
    const { output } = forward(config, toParameterSet(parameters), input);
    return output.map((value) => value * std + mean);
  };
  const codes = (x: ArrayLike<number>, k: number) => {
    const input = Float64Array.from(x, (value) => (value - mean) / std);
    return forward({ ...config, sparsity: 'topk', k }, toParameterSet(parameters), input).hidden;
  };
  return { file, reconstructed, codes };
}

describe('sae encode --k', () => {
  const [rows, in_dims] = [50, 6];
  const floats = Float32Array.from(bytes(rows * in_dims), (byte) => byte / 32 - 3);
  const data = folder.write('floats.npy', npy([rows, in_dims], floats));

  it('keeps as many latents of each row, whatever the model selects itself', async () => {
    for (const own of [{}, { sparsity: 'topk', k: 2 }]) {
      const cwd = folder.make();
      const config = { in_dims, h_dims: [12], activation: 'relu', ...own } as const;
      const { file, codes } = made(`k-${Object.keys(own).length}`, config);
      await succeeds(['encode', file, '--data', data, '--out', 'out.npy', '--k', '4'], { cwd });
      const { values } = decodeNpy(readFileSync(join(cwd, 'out.npy')));
      expect(values).toBeCloseTensor(codes(floats, 4), 1e-5);
    }
  });

  it('of files, folders and patterns, in their order, whatever follows them', async () => {
    const cwd = folder.make();
    const { file, codes } = made('shards', { in_dims, h_dims: [12], activation: 'relu' });
    mkdirSync(join(cwd, 'shards'));
    const part = (first: number, end: number) => floats.subarray(first * in_dims, end * in_dims);
    writeFileSync(join(cwd, 'shards', 'x2.npy'), npy([10, in_dims], part(0, 10)));
    // Of three dimensions, which is said.
    writeFileSync(join(cwd, 'shards', 'x10.npy'), npy([2, 5, in_dims], part(10, 20)));
    const lines = Array.from({ length: 30 }, (_, i) => part(20 + i, 21 + i).join(','));
    writeFileSync(join(cwd, 'y.csv'), lines.join('\n'));
    const given = ['--data', 'shards', '--data', 'y*.csv'];
    const said = await succeeds(['encode', ...given, file, '--out', 'out.npy', '--k', '12'], { cwd });
    expect(said).toBe(
      `${join('shards', 'x10.npy')} has the shape (2, 5, 6) and is read as 10 rows of 6 values, its last dimension.\n` +
        'out.npy  50 rows of 12 latents\n',
    );
    expect(decodeNpy(readFileSync(join(cwd, 'out.npy'))).values).toBeCloseTensor(codes(floats, 12), 1e-5);
    const into = ['--out', join('shards', 'x2.npy')];
    expect((await sae(['encode', ...given, file, ...into], { cwd })).stderr).toMatch(
      /is also read and would be/,
    );
  });

  it('writes .npy, .safetensors and, without zeros, .npz and .safetensors, in which SciPy and NumPy find the same', async (context) => {
    const cwd = folder.make();
    const { file } = made('all', { in_dims, h_dims: [12], activation: 'relu', sparsity: 'topk', k: 3 });
    const encode = (out: string, ...more: string[]) =>
      succeeds(['encode', file, '--data', data, '--out', out, ...more], { cwd });
    const said = [
      await encode('dense.npy'),
      await encode('dense.safetensors'),
      await encode('sparse.npz'),
      await encode('sparse.SafeTensors', '--sparse', '--json'),
    ];
    const files = ['dense.npy', 'dense.safetensors', 'sparse.npz', 'sparse.SafeTensors'];
    expect(filesIn(cwd)).toEqual([...files].sort());
    const nonzero = decodeNpy(readFileSync(join(cwd, 'dense.npy'))).values.filter((v) => v !== 0).length;
    const rowsSaid = '50 rows of 12 latents';
    expect(said.slice(0, 3)).toEqual([
      `dense.npy  ${rowsSaid}\n`,
      `dense.safetensors  ${rowsSaid}\n`,
      `sparse.npz  ${rowsSaid}, of which ${nonzero} values are not 0\n`,
    ]);
    expect(objects(said[3])).toEqual([{ out: 'sparse.SafeTensors', rows, hidden: 12, nonzero }]);
    const script = fileURLToPath(new URL('../fixtures/sparse/read.py', import.meta.url));
    for (const python of ['python3', '/usr/bin/python3']) {
      const read = spawnSync(python, [script, ...files], { cwd, encoding: 'utf8' });
      if (read.status === 0) {
        expect(JSON.parse(read.stdout)).toEqual({
          same: ['safetensors', 'npz', 'sparse safetensors'],
          format: 'csr',
          indices: ['int32', 'int32', 'int32', 'int32'],
          nonzero,
        });
        return;
      }
      expect(read.stderr ?? 'ModuleNotFoundError').toContain('ModuleNotFoundError');
    }
    context.skip();
  });

  it('refuses other endings before anything is read', async () => {
    const cwd = folder.make();
    for (const [args, said] of [
      [
        ['encode', 'nowhere', '--out', 'codes.txt'],
        'out is codes.txt; expected a file whose name ends in .npy, .safetensors or .npz.',
      ],
      [
        ['encode', 'nowhere', '--out', 'codes.npy', '--sparse'],
        'out is codes.npy, and a .npy file has a value for each latent of each row. Leave sparse out, or name a .npz or .safetensors file.',
      ],
      [
        ['reconstruct', 'nowhere', '--out', 'x.npz'],
        'out is x.npz; expected a file whose name ends in .npy or .safetensors.',
      ],
    ] as const) {
      const result = await sae([...args, '--data', data], { cwd });
      expect(result).toEqual({ status: 2, stdout: '', stderr: `sae: ${said}\n` });
    }
  });

  it('refuses a number of latents that there is not', async () => {
    const cwd = folder.make();
    const { file } = made('twelve', { in_dims, h_dims: [12], activation: 'relu' });
    for (const [k, said] of [
      ['0', 'k must be a whole number of at least 1, and is 0.'],
      ['2.5', 'k must be a whole number of at least 1, and is 2.5.'],
      ['13', 'k must be at most 12, the number of latents, and is 13.'],
    ]) {
      const result = await sae(['encode', file, '--data', data, '--out', 'out.npy', '--k', k], { cwd });
      expect([result.status, result.stdout]).toEqual([2, '']);
      expect(result.stderr).toContain(said);
    }
    expect(filesIn(cwd)).toEqual([]);
  });
});

describe('sae reconstruct --out', () => {
  const [rows, in_dims] = [8200, 6];
  const stored = bytes(rows * in_dims);
  const floats = Float32Array.from(stored, (byte) => byte / 32 - 3);

  it.each([
    ['with one layer and a centred input', { h_dims: [9], activation: 'relu', pre_bias: true }],
    ['with several layers', { h_dims: [7, 5], activation: 'sigmoid' }],
    ['with a selection', { h_dims: [12], activation: 'relu', sparsity: 'topk', k: 2 }],
  ] as const)('%s: what float64 makes of floats, in their own units', async (name, config) => {
    const cwd = folder.make();
    const { file, reconstructed } = made(name, { in_dims, ...config });
    const data = folder.write(`${name}.npy`, npy([rows, in_dims], floats));
    const args = ['reconstruct', file, '--data', data, '--out', 'out.npy'];
    expect(await succeeds(args, { cwd })).toBe('out.npy  8,200 rows of 6 values\n');
    expect(filesIn(cwd)).toEqual(['out.npy']);
    const { shape, values } = decodeNpy(readFileSync(join(cwd, 'out.npy')));
    expect(shape).toEqual([rows, in_dims]);
    expect(values).toBeCloseTensor(reconstructed(floats), 1e-5);
  });

  it('of bytes: from 0 to 255, as they are stored', async () => {
    const cwd = folder.make();
    const { file, reconstructed } = made('bytes', { in_dims, h_dims: [9], activation: 'relu' });
    const data = folder.write('bytes.npy', npy([rows, in_dims], stored));
    const args = ['reconstruct', file, '--data', data, '--json', '--out'];
    expect(objects(await succeeds([...args, 'out.npy'], { cwd }))).toEqual([
      { out: 'out.npy', rows, in_dims },
    ]);
    const expected = reconstructed(Float64Array.from(stored, (byte) => byte / 255)).map((v) => v * 255);
    const { values } = decodeNpy(readFileSync(join(cwd, 'out.npy')));
    expect(values).toBeCloseTensor(expected, 1e-5);
    await succeeds([...args, 'out.safetensors'], { cwd });
    expect(readSafetensors(join(cwd, 'out.safetensors')).tensors).toEqual({ reconstructions: values });
  });

  it('refuses what has no effect, no rows, and a file that it reads', async () => {
    const cwd = folder.make();
    const { file } = made('refused', { in_dims, h_dims: [9], activation: 'relu' });
    const data = folder.write('refused.npy', npy([rows, in_dims], floats));
    const before = readFileSync(data);
    const refused = async (args: string[], sentence: RegExp) => {
      const { status, stdout, stderr } = await sae(['reconstruct', file, ...args], { cwd });
      expect([status, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(sentence);
    };
    await refused(['--out', 'out.npy'], /^sae: out writes reconstructions of your own rows: name them with/);
    for (const option of [
      ['--num_samples', '3'],
      ['--dataset', 'mnist'],
      ['--seed', '1'],
    ]) {
      await refused(
        ['--data', data, '--out', 'out.npy', ...option],
        new RegExp(`^sae: ${option[0].slice(2)} has no effect with out, .* Leave it out\\.\\n$`),
      );
    }
    await refused(['--data', data, '--out', data], /is also read and would be overwritten/);
    expect(readFileSync(data).equals(before)).toBe(true);
    expect(filesIn(cwd)).toEqual([]);
  });

  it('ends where a value is beyond f32 in the units of the rows, and leaves no file', async () => {
    const cwd = folder.make();
    const large = folder.write(
      'large',
      encodeModel({
        config: { in_dims: 1, h_dims: [1], activation: 'relu' },
        parameters: new Map([
          ['encoder.0.weight', { shape: [1, 1], data: Float32Array.of(10) }],
          ['encoder.0.bias', { shape: [1], data: Float32Array.of(0) }],
          ['decoder.0.weight', { shape: [1, 1], data: Float32Array.of(10) }],
          ['decoder.0.bias', { shape: [1], data: Float32Array.of(0) }],
        ]),
        normalization: { mean: 0, std: 1e30 },
      }),
    );
    const data = folder.write('large.npy', npy([1, 1], Float32Array.of(1e38)));
    const args = ['reconstruct', large, '--data', data, '--out', 'out.npy'];
    const { status, stderr } = await sae(args, { cwd });
    expect([status, stderr]).toEqual([
      1,
      'sae: A reconstruction of large.npy is too large for f32 in the units of its rows. Scale the rows down.\n',
    ]);
    expect(filesIn(cwd)).toEqual([]);
  });
});

describe('rows that come once, or with some left out', () => {
  const [rows, in_dims] = [60, 6];
  const floats = Float32Array.from(bytes(rows * in_dims), (byte) => byte / 32 - 3);
  const config = { in_dims, h_dims: [12], activation: 'relu' } as const;
  const { file, codes, reconstructed } = made('once', config);
  const content = npy([rows, in_dims], floats);
  const row = (i: number) => floats.subarray(i * in_dims, (i + 1) * in_dims);

  it.runIf(long)(
    'are encoded and reconstructed as they come on standard input, or through a pipe with a name',
    async () => {
      const cwd = folder.make();
      const expected = {
        encode: Array.from({ length: rows }, (_, i) => [...codes(row(i), 12)]).flat(),
        reconstruct: Array.from({ length: rows }, (_, i) => [...reconstructed(row(i))]).flat(),
      };
      spawnSync('mkfifo', [join(cwd, 'pipe')]);
      writeFileSync(join(cwd, 'rows.npy'), content);
      for (const command of ['encode', 'reconstruct'] as const) {
        for (const data of ['-', '/dev/stdin', 'pipe']) {
          const named = data === 'pipe';
          const writer = named && spawn('sh', ['-c', 'cat rows.npy > pipe'], { cwd });
          const said = await succeeds([command, file, '--data', data, '--out', 'out.npy'], {
            cwd,
            ...(!named && { input: content }),
          });
          if (writer && writer.exitCode === null) await once(writer, 'exit');
          expect(said).toBe(`out.npy  60 rows of ${command === 'encode' ? '12 latents' : '6 values'}\n`);
          const written = decodeNpy(readFileSync(join(cwd, 'out.npy')));
          expect(written.values).toBeCloseTensor(expected[command], 1e-5);
        }
      }
      const { status, stderr } = await sae(['encode', file, '--data', '-', '--out', 'more.npy'], {
        cwd,
        input: Buffer.concat([content, Buffer.alloc(1)]),
      });
      expect([status, stderr]).toEqual([
        1,
        'sae: standard input goes on after byte 1,568, where its 60 rows end; expected nothing more, as its header says.\n',
      ]);
      const told = await succeeds(['rows', '-'], { cwd, input: content });
      expect(told).toBe(
        (await succeeds(['rows', 'rows.npy'], { cwd })).replace('rows.npy', 'standard input'),
      );
      expect(filesIn(cwd)).toEqual(['out.npy', 'pipe', 'rows.npy']);
    },
  );

  it('are refused where they come once and not alone, or are to be read twice', async () => {
    for (const [args, sentence] of [
      [
        ['encode', file, '--data', '-', '--data', 'x.npy', '--out', 'o.npy'],
        /^sae: Rows from standard input \(-\) or another pipe are all rows there are, and here -, x\.npy are named\./,
      ],
      [['rows', '-', '-'], /^sae: Rows from .* and here -, - are named\. Name the pipe alone\./],
      [['rows', '-', '--tensor', 'x'], /^sae: tensor names an array of a file, and standard input has one\./],
      [
        ['encode', file, '--data', '-', '--nonfinite', 'skip', '--out', 'o.npy'],
        /^sae: nonfinite is skip, and rows of standard input come once/,
      ],
      [
        ['encode', file, '--data', '-', '--rows_type', 'f32', '--out', 'o.npy'],
        /^sae: Raw values on standard input .* Write a \.npy header before them or/,
      ],
      [['encode', file, '--data', 'x', '--split', '0.1', '--out', 'o.npy'], /^sae: unknown option '--split'/],
      [
        ['reconstruct', file, '--data', 'x', '--split', '0.1', '--out', 'o.npy'],
        /^sae: split has no effect with out/,
      ],
    ] as const) {
      const { status, stderr } = await sae(args, { cwd: folder.make() });
      expect([status, stderr]).toEqual([2, expect.stringMatching(sentence)]);
    }
  });

  it('with values that are not finite are left out, and which they are is told', async () => {
    const cwd = folder.make();
    const damaged = floats.slice();
    for (const at of [3 * in_dims, 17 * in_dims + 2]) damaged[at] = Number.NaN;
    writeFileSync(join(cwd, 'rows.npy'), npy([rows, in_dims], damaged));
    const run = ['encode', file, '--data', 'rows.npy', '--out', 'out.npy'];
    expect((await sae(run, { cwd })).stderr).toMatch(/^sae: rows\.npy has NaN at row 3, column 0/);
    const said = await succeeds([...run, '--nonfinite', 'skip'], { cwd });
    expect(said.split('\n').slice(1)).toEqual([
      'out.npy  58 rows of 12 latents',
      'out.npy lacks rows 3, 17 of the data (from 0): rows after one that is left out move up by one.',
      '',
    ]);
    const kept = Array.from({ length: rows }, (_, i) => i).filter((i) => i !== 3 && i !== 17);
    const written = decodeNpy(readFileSync(join(cwd, 'out.npy')));
    expect(written.values).toBeCloseTensor(
      kept.flatMap((i) => [...codes(row(i), 12)]),
      1e-5,
    );
    expect(objects((await sae([...run, '--nonfinite', 'skip', '--json'], { cwd })).stdout)).toEqual([
      { out: 'out.npy', rows: 58, hidden: 12, left_out: [3, 17] },
    ]);
  });

  it('are held out for measuring as they were in training', async () => {
    const cwd = folder.make();
    writeFileSync(join(cwd, 'rows.npy'), npy([rows, in_dims], floats));
    const own = ['--data', 'rows.npy', '--split', '0.2', '--json'];
    const train = ['--h_dims', '4', '--epochs', '1', '--save-model', '--save-plots', 'False', ...own];
    const trained = objects(await succeeds(train, { cwd })).find((line) => 'validation' in line);
    const measuring = ['reconstruct', join('files', 'sae.safetensors'), ...own];
    const [measured] = objects((await sae(measuring, { cwd })).stdout);
    expect(measured).toMatchObject(trained?.validation as object);
  });
});
