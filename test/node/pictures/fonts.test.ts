import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';

// This file has a process of its own (see vitest.config.ts), and fontconfig reads its environment once. So this process
// is a machine without any font from here on, an unwritable home included; nothing below may import sharp by itself.
const folder = mkdtempSync(join(tmpdir(), 'sae-no-fonts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, 'fonts'));
const temp = join(folder, 'a temporary & "odd" <folder>');
mkdirSync(temp);
const noFonts = join(folder, 'none.conf');
writeFileSync(
  noFonts,
  `<?xml version="1.0"?><fontconfig><dir>${folder}/fonts</dir><cachedir>${folder}/cache</cachedir></fontconfig>`,
);
process.env.FONTCONFIG_FILE = noFonts;
process.env.HOME = join(noFonts, 'no-home');
process.env.TMPDIR = temp;

const { fontConfig, loadSharp } = await import('../../../src/node/pictures/fonts.js');
const { owner } = await import('../../../src/node/owner.js');
const { lossSvg } = await import('../../../src/node/pictures/loss.js');

const history = Array.from({ length: 5 }, (_, i) => ({
  epoch: i + 1,
  loss: 1 + 1 / (i + 1),
  mse: 0.5,
  kl: 1,
  active: 2,
  dead: 0,
  samples_per_second: 1,
  seconds: i,
}));

/** Renders an SVG in another process that knows only `config`, or the machine's own fonts. */
function renderElsewhere(svg: string, config: string): Buffer {
  const script = `import sharp from 'sharp'; import { readFileSync } from 'node:fs';
    const { data } = await sharp(readFileSync(0)).greyscale().raw().toBuffer({ resolveWithObject: true });
    process.stdout.write(data);`;
  return execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    input: svg,
    env: { ...process.env, FONTCONFIG_FILE: config },
    maxBuffer: 1 << 26,
  });
}

// Of a process that was killed: no process has such a number.
mkdirSync(join(temp, `sae-fonts-${owner().replace(/\d+$/, `${2 ** 22 + 1}`)}-abcdef`));

test('text is drawn, and drawn alike, on a machine without fonts', async () => {
  const svg = lossSvg(history, { sparsity: 'kl' });
  const sharp = await loadSharp();
  const ours = await sharp(Buffer.from(svg)).greyscale().raw().toBuffer();

  // The package's fonts, named in a configuration that is written here: what the text must look like.
  const packaged = join(folder, 'packaged.conf');
  const fonts = join(import.meta.dirname, '../../../node_modules/dejavu-fonts-ttf/ttf');
  writeFileSync(packaged, `<?xml version="1.0"?><fontconfig><dir>${fonts}</dir></fontconfig>`);
  expect(ours.equals(renderElsewhere(svg, packaged))).toBe(true);

  // Without a font each letter is at most an empty box; without the words there is nothing.
  expect(ours.equals(renderElsewhere(svg, noFonts))).toBe(false);
  const wordless = renderElsewhere(svg.replace(/<text.*?<\/text>/gs, ''), noFonts);
  const letters = (x0: number, y0: number, x1: number, y1: number) => {
    let dark = 0;
    for (let y = y0; y < y1; y++) {
      for (let x = x0; x < x1; x++) if (ours[y * 800 + x] < wordless[y * 800 + x] - 60) dark++;
    }
    return dark;
  };
  // The legend, the value axis with its name, the epoch axis with its name: pixels of letters.
  expect(letters(0, 0, 800, 34)).toBeGreaterThan(300);
  expect(letters(0, 66, 76, 400)).toBeGreaterThan(300);
  expect(letters(0, 400, 800, 450)).toBeGreaterThan(100);
});

test('the environment is as it was, and nothing is left in the temporary folder', async () => {
  await loadSharp();
  expect(process.env.FONTCONFIG_FILE).toBe(noFonts);
  expect(readdirSync(temp)).toEqual([]);
});

test('paths are escaped', () => {
  expect(fontConfig('/a & b/<c>', '/d')).toContain('<dir>/a &amp; b/&lt;c&gt;</dir>');
});

test('a temporary folder that cannot be written gives a sentence', async () => {
  vi.resetModules();
  process.env.TMPDIR = join(noFonts, 'under-a-file');
  const fresh = await import('../../../src/node/pictures/fonts.js');
  await expect(fresh.loadSharp()).rejects.toThrow(
    /temporary folder.*under-a-file cannot be written.*Set TMPDIR/s,
  );
  process.env.TMPDIR = temp;
});
