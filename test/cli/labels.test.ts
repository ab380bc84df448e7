import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Papa from 'papaparse';
import { describe, expect, it } from 'vitest';
import { decodeNpy } from '../support/npy.js';
import { bytes, filesIn, npy, objects, sae, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
const words = fileURLToPath(new URL('../../data/words-10k', import.meta.url));
const file = join('files', 'latents.csv');
/** The lines of latents.csv after that of its names, each a latent's. */
const latentsOf = (cwd: string) =>
  Papa.parse<string[]>(readFileSync(join(cwd, file), 'utf8'), { skipEmptyLines: true }).data;

describe('words-10k', () => {
  it('is trained on latents, and latents.csv has the words with which each is most active', async () => {
    const cwd = folder.make();
    const args = ['--dataset', 'words-10k', '--sparsity', 'batchtopk', '--k', '4', '--h_dims', '128'];
    const lines = (
      await succeeds([...args, '--steps', '20', '--save-model', '--no-save-plots'], { cwd })
    ).split('\n');
    expect(lines).toContain('parameters  25,828 (100-128-100, relu)');
    expect(lines).toContain('data        words-10k: 10,000 rows of 100 values');
    expect(filesIn(cwd)).toContain(file);

    const encode = ['encode', join('files', 'sae.safetensors'), '--data', `${words}.npy`, '--out', 'z.npy'];
    await succeeds(encode, { cwd });
    const { shape, values } = decodeNpy(readFileSync(join(cwd, 'z.npy')));
    expect(shape).toEqual([10_000, 128]);
    const labels = readFileSync(`${words}.txt`, 'utf8').split('\n').slice(0, -1);
    const [names, ...latents] = latentsOf(cwd);
    expect([names.length, names.slice(0, 4), names.at(-1), latents.length]).toEqual([
      22,
      ['latent', 'density', 'label_1', 'activation_1'],
      'activation_10',
      128,
    ]);
    const own = (latent: number) => {
      const codes = labels.map((_, row) => values[row * 128 + latent]);
      const active = [...codes.keys()].filter((row) => codes[row] > 0);
      const top = active.toSorted((a, b) => codes[b] - codes[a]).slice(0, 10);
      return { density: active.length / 10_000, top: top.map((row) => [labels[row], codes[row]] as const) };
    };
    for (const [latent, fields] of latents.entries()) {
      if (latent % 20 > 0) continue;
      const { density, top } = own(latent);
      const expected = top.flatMap(([label, value]) => [label, String(Number(value.toPrecision(7)))]);
      const padding = Array(20 - expected.length).fill('');
      expect(fields).toEqual([String(latent + 1), String(density), ...expected, ...padding]);
    }

    // Ten of them are printed: neither dead nor active for more than a tenth of the words, the most active first.
    const at = lines.indexOf(`latents   ${file}`);
    const printed = lines.slice(at + 2, at + 12).map((line) => /^ +(\d+) +(\S+)% {2}(.*)$/.exec(line)!);
    const densities = printed.map(([, number, percent, said]) => {
      const { density, top } = own(Number(number) - 1);
      expect(Number(percent)).toBeCloseTo(100 * density, density < 0.01 ? 2 : 1);
      expect(said).toBe(top.map(([label]) => label).join('  '));
      return density;
    });
    expect(densities).toEqual(densities.toSorted((a, b) => b - a));
    expect(Math.min(...densities)).toBeGreaterThan(0);
    expect(Math.max(...densities)).toBeLessThanOrEqual(0.1);
    expect(lines.slice(at + 12)).toEqual(['']);
  });
});

describe('labels of rows of one’s own', () => {
  const rows = folder.write('rows.npy', npy([100, 16], bytes(1600)));
  const nasty = ['\x1b[2J\x07', 'a\nb', '<i>"x", y</i>', '\u202eabc\u2028', 'long '.repeat(1000), '', '🎈'];
  const labels = Array.from({ length: 100 }, (_, row) => `${nasty[row % nasty.length]}${row}`);
  const labelled = folder.write('labels.jsonl', labels.map((label) => JSON.stringify(label)).join('\n'));
  // Latents that are active for few rows.
  const quick = ['--data', rows, '--labels', labelled, '--epochs', '1', '--no-save-plots'];
  const run = [...quick, '--h_dims', '64', '--sparsity', 'topk', '--k', '2'];

  it('go into the file as they are, and onto the terminal without what would act on it', async () => {
    const cwd = folder.make();
    const said = await succeeds(run, { cwd });
    const [, ...latents] = latentsOf(cwd);
    const known = new Set(latents.flatMap((fields) => fields.filter((_, i) => i > 1 && i % 2 === 0)));
    expect([...known].filter((label) => label !== '' && !labels.includes(label))).toEqual([]);
    expect(known.size).toBeGreaterThan(50);
    const shown = said.slice(said.indexOf('latents '));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about.
    expect(shown).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/);
    expect(shown).toMatch(/ {2}\\u\{1b\}\[2J\\u\{7\}\d/);
    expect(shown).toMatch(/ {2}a\\u\{a\}b\d/);
    expect(shown).toMatch(/ {2}long long long long lon… /);
    // One line for each latent.
    expect(shown.trimEnd().split('\n')).toHaveLength(2 + 10 + 1);
  });

  it('with --json are named as a file, with --quiet not at all', async () => {
    const cwd = folder.make();
    const lines = objects(await succeeds([...run, '--json'], { cwd }));
    expect(lines.at(-1)).toEqual({ latents: file });
    const first = readFileSync(join(cwd, file), 'utf8');
    // It replaces its own file.
    expect(await succeeds([...run, '--quiet', '--seed', '7'], { cwd })).toBe('');
    expect(readFileSync(join(cwd, file), 'utf8')).not.toBe(first);
  });

  it('are looked at too where a model is not trained, wherever rows come from, and all its latents are dense', async () => {
    const cwd = folder.make();
    await succeeds([...quick, '--h_dims', '2', '--save-model', '--quiet'], { cwd });
    const expected = readFileSync(join(cwd, file), 'utf8');
    const init = ['--init', join('files', 'sae.safetensors'), '--no-train', '--no-save-plots'];
    const own = [...init, '--labels', labelled];
    const said = await succeeds([...own, '--data', rows, '--files_dir', 'read'], { cwd });
    const streamed = [...own, '--data', rows, '--window', '1kb', '--files_dir', 'streamed'];
    expect(await succeeds(streamed, { cwd })).toContain(', through two windows of 64 rows');
    const input = readFileSync(rows);
    await succeeds([...own, '--data', '-', '--files_dir', 'piped'], { cwd, input });
    expect(said).toContain('latents.csv\n  All latents are dead or dense, so none is shown.\n');
    for (const from of ['read', 'streamed', 'piped']) {
      expect(readFileSync(join(cwd, from, 'latents.csv'), 'utf8')).toBe(expected);
    }
  });

  it('of another number than the rows end it before anything is trained', async () => {
    const cwd = folder.make();
    const few = folder.write(
      'few.txt',
      labels
        .slice(1)
        .map((_, row) => `${row}`)
        .join('\n'),
    );
    const { status, stderr, stdout } = await sae(['--data', rows, '--labels', few], { cwd });
    expect([status, stdout, filesIn(cwd)]).toEqual([1, '', []]);
    expect(stderr).toBe(`sae: ${few} has 99 labels, and rows.npy 100 rows; expected a label for each row.\n`);
  });
});
