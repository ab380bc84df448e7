import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'sae-packed-fonts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const temp = join(folder, 'temp');
mkdirSync(temp);
// What others than Node see of the archive: a file.
const archive = join(folder, 'fonts.zip');
writeFileSync(archive, 'an archive');

/** Does what Yarn's Plug'n'Play does: the package lies in an archive, and Node's functions look inside. */
const packed = `
  import fs from 'node:fs';
  import { createRequire, Module, syncBuiltinESMExports } from 'node:module';
  const inside = ${JSON.stringify(join(archive, 'package.json'))};
  const real = createRequire(${JSON.stringify(import.meta.url)}).resolve('dejavu-fonts-ttf/package.json');
  const [to, from] = [real, inside].map((file) => file.slice(0, -'package.json'.length));
  const unpacked = (path) => (typeof path === 'string' ? path.replace(from, to) : path);
  const resolve = Module._resolveFilename;
  Module._resolveFilename = (name, ...rest) =>
    name === 'dejavu-fonts-ttf/package.json' ? inside : resolve(name, ...rest);
  for (const name of ['stat', 'lstat', 'access', 'readFile', 'readdir', 'open', 'copyFile']) {
    const own = fs.promises[name];
    fs.promises[name] = (path, ...rest) => own(unpacked(path), ...rest);
  }
  syncBuiltinESMExports();`;

/** The pixels of some words in several sizes, drawn by a process that does `before` first. */
function draw(before: string): Buffer {
  const fonts = new URL('../../../dist/node/pictures/fonts.js', import.meta.url).href;
  const script = `${before}
    const { loadSharp, textSvg } = await import(${JSON.stringify(fonts)});
    const sharp = await loadSharp();
    const pixels = [];
    for (const size of [8, 11, 13, 30]) {
      const text = \`<text y="40" font-size="\${size}">loss and mse</text>\`;
      pixels.push(await sharp(textSvg(300, 60, [text])).extractChannel('alpha').raw().toBuffer());
    }
    process.stdout.write(Buffer.concat(pixels));`;
  return execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, TMPDIR: temp, TEMP: temp },
    cwd: fileURLToPath(new URL('.', import.meta.url)),
  });
}

test('labels are drawn with the packaged font where packages are left in archives, and nothing stays behind', () => {
  const usual = draw('');
  expect(usual.some((value) => value > 0)).toBe(true);
  expect(draw(packed).equals(usual)).toBe(true);
  expect(readdirSync(temp)).toEqual([]);
});
