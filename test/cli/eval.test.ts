import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeNpy } from '../support/npy.js';
import { bytes, npy, objects, sae, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
/** Of each row, a part by its label is bright. */
const x = bytes(960).map((value, i) =>
  Math.floor((i % 16) / 5) === Math.floor(i / 16) % 3 ? 255 - value / 8 : value / 8,
);
const rows = folder.write('rows.npy', npy([60, 16], x));
const labels = folder.write(
  'labels.txt',
  Array.from({ length: 60 }, (_, i) => `${['<b>one</b>', 'two|three', 'four\u001b[31m'][i % 3]}\n`).join(''),
);
const model = `${folder.path}/files/sae.safetensors`;

/** The probability that so many or more of rows that are drawn have a label that 20 of 60 have: the hypergeometric distribution's. */
function chanceOf(many: number, drawn: number): number {
  const ways = (n: number, k: number): number => (k === 0 ? 1 : k > n ? 0 : (ways(n - 1, k - 1) * n) / k);
  let sum = 0;
  for (let i = many; i <= drawn; i++) sum += ways(20, i) * ways(40, drawn - i);
  return sum / ways(60, drawn);
}

beforeAll(async () => {
  const training = ['--data', rows, '--h_dims', '[40]', '--sparsity', 'topk', '--k', '4', '--epochs', '3'];
  await succeeds([...training, '--save-model', '--no-save-plots'], { cwd: folder.path });
});

describe('sae eval', () => {
  it('tells how good a model is, as JSON: the figures of its codes and reconstructions', async () => {
    const cwd = folder.make();
    const args = ['eval', model, '--data', rows, '--labels', labels, '--other-variances', '--json'];
    const [found] = objects(await succeeds(args, { cwd }));
    await succeeds(['encode', model, '--data', rows, '--out', 'z.npy'], { cwd });
    await succeeds(['reconstruct', model, '--data', rows, '--out', 'y.npy'], { cwd });
    const [z, y] = ['z.npy', 'y.npy'].map((name) => decodeNpy(readFileSync(`${cwd}/${name}`)).values);
    const active = Array.from({ length: 40 }, (_, latent) => {
      return Array.from({ length: 60 }, (_, row) => row).filter((row) => z[row * 40 + latent] > 0);
    });
    const mean = Array.from({ length: 16 }, (_, j) => {
      return Array.from({ length: 60 }, (_, row) => x[row * 16 + j]).reduce((a, b) => a + b) / 60;
    });
    const squares = (of: (i: number) => number) => x.reduce((sum, _, i) => sum + of(i) ** 2, 0);
    const r2 = 1 - squares((i) => y[i] - x[i]) / squares((i) => x[i] - mean[i % 16]);
    expect(found.explained_variance).toBeCloseTo(r2, 4);
    expect(found).toMatchObject({
      data: 'rows.npy',
      rows: 60,
      active: active.reduce((sum, { length }) => sum + length, 0) / 60,
      dead: active.filter(({ length }) => length === 0).length,
      other_variances: { saelens_legacy: expect.any(Number), saev: expect.any(Number) },
      labels: { classes: 3, probes: [{ k: 1 }, { k: 5 }] },
    });
    const latents = found.latents as { density: number; predicts?: { label: string; recall: number } }[];
    expect(latents.map(({ density }) => density)).toEqual(active.map(({ length }) => length / 60));
    for (const [latent, { predicts }] of latents.entries()) {
      const counts = [0, 1, 2].map((own) => active[latent].filter((row) => row % 3 === own).length);
      const most = Math.max(...counts);
      const chance = 3 * chanceOf(most, active[latent].length);
      if (predicts) {
        expect(predicts.recall).toBe(most / 20);
        expect(chance).toBeLessThan(0.05);
      } else expect(chance).toBeGreaterThan(1e-4);
    }
    const predicting = latents.filter(({ predicts }) => predicts).length;
    expect(found).toMatchObject({ labels: { predicting } });
    expect(predicting).toBeGreaterThan(5);
  });

  it('says it for people, and as Markdown in which labels are text', async () => {
    const args = ['eval', model, '--data', rows, '--labels', labels];
    const said = (await succeeds(args, { cwd: folder.path })).split('\n');
    expect(said[0]).toMatch(/^ +rows\.npy, 60 rows$/);
    expect(said.find((line) => line.startsWith('L0'))).toMatch(
      /^L0 {9,}[\d.]+ \(least \d+, 5% \d+, median 4, 95% 4, most 4\)$/,
    );
    expect(said).toContainEqual(
      expect.stringMatching(/^four\\u\{1b\}\[31m +\d+ +[01]\.\d{3} +[01]\.\d{3} +[01]\.\d{3} +[\d.]+%$/),
    );
    const markdown = await succeeds([...args, '--markdown'], { cwd: folder.path });
    expect(markdown).toMatch(/^\| {2}\| rows\.npy, 60 rows \|\n\| --- \| --- \|\n\| MSE \| [\d.]+ \|\n/);
    expect(markdown).toContain('\n| two\\|three | ');
    expect(markdown).toContain('\n| \\<b\\>one\\</b\\> | ');
  });

  it('measures held-out rows, and leaves out what is not finite', async () => {
    const values = Float32Array.from(x, (value) => value / 255);
    values[16 * 7 + 3] = Number.NaN;
    const broken = folder.write('broken.npy', npy([60, 16], values));
    const args = ['eval', model, '--data', broken, '--json'];
    expect(await sae(args, { cwd: folder.path })).toMatchObject({ status: 1, stdout: '' });
    const { stdout } = await sae([...args, '--nonfinite', 'skip'], { cwd: folder.path });
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({ rows: 59 });
    const [held] = objects(
      await succeeds(['eval', model, '--data', rows, '--json', '--split', '0.2'], { cwd: folder.path }),
    );
    expect(held.rows).toBeGreaterThan(2);
    expect(held.rows).toBeLessThan(25);
  });

  it('passes over labels that are no classes, and says so', async () => {
    const each = folder.write('each.txt', Array.from({ length: 60 }, (_, i) => `${i}\n`).join(''));
    const said = await succeeds(['eval', model, '--data', rows, '--labels', each], { cwd: folder.path });
    expect(said).toContain('The labels are no classes: nearly every row has one of its own');
    expect(said).not.toContain('best latent');
  });

  it.each([
    [['--data', rows, '--json', '--markdown'], 2, /--markdown.* cannot be used with option '--json/],
    [['--data', folder.write('wide.npy', npy([5, 17], bytes(85)))], 1, /17 values.*16/],
    [['--data', rows, '--labels', folder.write('few.txt', 'a\nb\n')], 1, /few\.txt has 2 labels.* 60/],
    [['--data', 'not-there.npy'], 1, /not-there\.npy/],
    [['--labels', labels], 2, /labels.*data/],
  ])('refuses %j', async (args, status, sentence) => {
    const result = await sae(['eval', model, ...args], { cwd: folder.path });
    expect(result.stderr).toMatch(sentence);
    expect(result).toMatchObject({ status, stdout: '' });
  });
});
