import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { EngineError } from '../../gpu/errors.js';

/** sharp's function, as `import sharp from 'sharp'` gives it. */
export type Sharp = typeof import('sharp').default;

/** What the pictures' text asks for; the second name matters only where sharp was in use before `loadSharp`. */
export const fontFamily = 'DejaVu Sans, sans-serif';

let loaded: Promise<Sharp> | undefined;

/**
 * sharp, able to draw text with the font that comes with this package: on a machine without fonts it would draw empty
 * boxes instead. Always get sharp from here; importing it elsewhere may settle its fonts too early.
 * @throws EngineError when sharp cannot be loaded or the temporary folder cannot be written.
 */
export function loadSharp(): Promise<Sharp> {
  loaded ??= load();
  return loaded;
}

/**
 * fontconfig, inside sharp, reads FONTCONFIG_FILE once, when the first text is drawn. So: name our own file, draw a
 * letter, put the variable back. A value that the user has set is passed over for that moment, since labels should look
 * the same everywhere and a configuration for other programs may well name no font at all; child processes and
 * the caller's environment never see ours. The file is needed for that moment only, so it lives in a fresh temporary
 * folder: no home folder is needed, and processes cannot get into each other's way. (In a worker thread, where
 * process.env is a copy, and where sharp drew text before, the machine's own fonts are used.)
 */
async function load(): Promise<Sharp> {
  const fonts = join(dirname(createRequire(import.meta.url).resolve('dejavu-fonts-ttf/package.json')), 'ttf');
  let folder: string;
  let config: string;
  try {
    folder = await mkdtemp(join(tmpdir(), 'sae-fonts-'));
    config = join(folder, 'fonts.conf');
    await writeFile(config, fontConfig(fonts, folder));
  } catch (error) {
    throw new EngineError(
      `Pictures need a temporary folder, and ${tmpdir()} cannot be written (${reason(error)}). ` +
        'Set TMPDIR (TEMP on Windows) to a folder that can.',
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
      `sharp, which draws the pictures, could not be loaded (${reason(error)}). Install the packages again with npm ci.`,
      { cause: error },
    );
  } finally {
    if (before === undefined) delete process.env.FONTCONFIG_FILE;
    else process.env.FONTCONFIG_FILE = before;
    // Windows keeps files that are in use; a few kilobytes in the temporary folder then stay behind.
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** A fontconfig file that knows one folder of fonts and never looks again. */
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

/** An SVG file of the given size in pixels around `<text>` elements, in this package's font. */
export function textSvg(width: number, height: number, texts: readonly string[]): Buffer {
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="${fontFamily}">` +
      `${texts.join('')}</svg>`,
  );
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** The first line of what an exception says. */
export function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split('\n')[0];
}
