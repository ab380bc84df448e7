import { rmSync } from 'node:fs';
import { copyFile, mkdtemp, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { EngineError } from '../../gpu/errors.js';
import { isDead, owner } from '../owner.js';

/** sharp's function, as `import sharp from 'sharp'` gives it. */
export type Sharp = typeof import('sharp').default;

/** The file of the packaged font that is used. */
const fontFile = 'DejaVuSans.ttf';

/** The font family of the pictures' text; the second name matters only if sharp was in use before `loadSharp`. */
export const fontFamily = 'DejaVu Sans, sans-serif';

let loaded: Promise<Sharp> | undefined;

/**
 * sharp, set up to draw text with the font of this package: on a machine without fonts it would draw empty boxes.
 * Always get sharp from here; if it is imported elsewhere, its fonts may be set before.
 * @param beside a folder to use if the temporary one cannot be written, as in a read-only container.
 * @throws EngineError if sharp cannot be loaded or no such folder can be written.
 */
export function loadSharp(beside?: string): Promise<Sharp> {
  loaded ??= load([tmpdir(), ...(beside === undefined ? [] : [beside])]);
  return loaded;
}

/**
 * fontconfig, which is part of sharp, reads FONTCONFIG_FILE once, when the first text is drawn. So this sets the
 * variable to a file of ours, draws a letter, and restores the variable. A value that the user has set is ignored,
 * since labels should look the same everywhere and another configuration may have no font at all; child processes and
 * the caller's environment never see ours. The file is in a new temporary folder, so that no home folder is needed and
 * processes do not disturb each other. If the fonts are in an archive, a copy of the font is in that folder as well,
 * which is then kept as long as the process lives. (In a worker thread, where process.env is a copy, and if sharp drew
 * text before, the machine's own fonts are used.)
 * @param places folders in which a folder may be made; the first that can be written is used.
 */
async function load(places: readonly string[]): Promise<Sharp> {
  const packaged = join(
    dirname(createRequire(import.meta.url).resolve('dejavu-fonts-ttf/package.json')),
    'ttf',
  );
  const packed = !(await isOnDisk(packaged));
  let folder: string | undefined;
  let config: string;
  try {
    folder = await firstOf(places);
    config = join(folder, 'fonts.conf');
    if (packed) {
      // The font is opened again when a size is first drawn.
      process.on('exit', () => removeAtOnce(folder!));
      await copyFile(join(packaged, fontFile), join(folder, fontFile));
    }
    await writeFile(config, fontConfig(packed ? folder : packaged, folder));
  } catch (error) {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true }).catch(() => {});
    throw new EngineError(
      `Pictures need a temporary folder, and ${tmpdir()} cannot be written (${reason(error)}). ` +
        'Set TMPDIR (TEMP on Windows) to a folder that can be written.',
      { cause: error },
    );
  }
  const before = process.env.FONTCONFIG_FILE;
  process.env.FONTCONFIG_FILE = config;
  try {
    const sharp = (await import('sharp')).default;
    await sharp(textSvg(8, 8, ['<text y="8">a</text>'])).toBuffer();
    return sharp;
  } catch (error) {
    throw new EngineError(
      `sharp, which draws the pictures, could not be loaded (${reason(error)}). Install it with \`npm install --include=optional sharp\`, ` +
        'or use --no-save-plots to draw none.',
      { cause: error },
    );
  } finally {
    if (before === undefined) delete process.env.FONTCONFIG_FILE;
    else process.env.FONTCONFIG_FILE = before;
    if (!packed) {
      // Windows does not delete files in use; then a few kilobytes stay in the temporary folder.
      await rm(folder, { recursive: true, force: true }).catch(() => {});
    }
  }
}

function removeAtOnce(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // The next process removes it.
  }
}

/** Removes what processes have left that were killed meanwhile. */
async function removeLeft(place: string): Promise<void> {
  for (const entry of await readdir(place).catch(() => [])) {
    const [, of] = /^sae-fonts-([0-9a-f]{8}-\d+)-/.exec(entry) ?? [];
    if (of !== undefined && isDead(of)) {
      await rm(join(place, entry), { recursive: true, force: true }).catch(() => {});
    }
  }
}

/** Makes a folder in the first place that can be written. @throws the error for the first place. */
async function firstOf([place, ...others]: readonly string[]): Promise<string> {
  try {
    await removeLeft(resolve(place));
    return await mkdtemp(join(resolve(place), `sae-fonts-${owner()}-`));
  } catch (error) {
    if (others.length === 0) {
      throw error;
    }
    return firstOf(others).catch(() => {
      throw error;
    });
  }
}

/**
 * Whether a folder exists for libraries too, not only for Node. Yarn's Plug'n'Play and Electron leave packages in
 * archives, into which Node's functions are made to look; but statfs asks the system.
 */
async function isOnDisk(folder: string): Promise<boolean> {
  try {
    await statfs(folder);
    return true;
  } catch {
    return false;
  }
}

/** A fontconfig file with one folder of fonts, which is never scanned again. */
export function fontConfig(fonts: string, cache: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${escapeXml(fonts)}</dir>
  <cachedir>${escapeXml(cache)}</cachedir>
  <config><rescan><int>0</int></rescan></config>
</fontconfig>
`;
}

/** An SVG file of the given size in pixels with `<text>` elements in this package's font. */
export function textSvg(width: number, height: number, texts: readonly string[]): Buffer {
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="${fontFamily}">` +
      `${texts.join('')}</svg>`,
  );
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** The first line of an exception's message. */
export function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split('\n')[0];
}
