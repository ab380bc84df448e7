import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeNpy } from '../../src/node/data/write-npy.js';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const main = join(root, 'dist/cli/main.js');

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sae-readme-'));
  await writeNpy(join(folder, 'rows.npy'), [3, 784], [new Float32Array(3 * 784).fill(0.5)]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The commands in the README's blocks of shell, without comments, split as a shell splits words. */
const commands = [...readme.matchAll(/^```sh\n(.*?)^```/gms)]
  .flatMap(([, block]) => block.split('\n'))
  .map((line) => line.replace(/ +#.*$/, '').replace(/^npm start --/, 'sae'))
  .filter((line) => line.startsWith('sae '))
  .map((line) => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare).slice(1));

/** One epoch of the digits that need no network. */
function shortened(words: readonly string[]): string[] {
  const trains = words[0].startsWith('-');
  const reads = trains || words[0] === 'reconstruct';
  return [...words, ...(reads ? ['--dataset', 'mnist-10k'] : []), ...(trains ? ['--epochs', '1'] : [])];
}

test('the README has its commands', () => {
  expect(commands.length).toBeGreaterThanOrEqual(6);
  expect(new Set(commands.map(([first]) => first))).toEqual(
    new Set(['--epochs', '--h_dims', '--init', 'reconstruct', 'encode', 'devices']),
  );
});

// In the README's order: later ones use the model that an earlier one saves.
test.each(commands.map((words) => [words.join(' '), words] as const))('sae %s', (_, words) => {
  execFileSync(process.execPath, [main, ...shortened(words)], { cwd: folder, stdio: 'pipe' });
});

test('the library’s example', () => {
  const [, example] = /^```js\n(.*?)^```/ms.exec(readme)!;
  const entry = JSON.stringify(join(root, 'dist/node/index.js'));
  const code = example.replace("'webgpu-sae'", entry).replace('epochs: 5', 'epochs: 1');
  const check = `
    if (codes.length !== 10000 * 256 || !(file instanceof Uint8Array)) throw new Error('not what it says');`;
  writeFileSync(join(folder, 'example.mjs'), code + check);
  const printed = execFileSync(process.execPath, ['example.mjs'], {
    cwd: folder,
    stdio: 'pipe',
    encoding: 'utf8',
  });
  expect(printed).toMatch(/^1 \d\.\d+ \d+\.\d+\n$/);
});
