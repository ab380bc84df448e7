import { readFile } from 'node:fs/promises';

/** The WGSL files of the package, beside `src` in a checkout and beside `dist` in an installed package. */
const folder = new URL('../../shaders/', import.meta.url);

/** Reads a kernel's text from the package's `shaders` folder. */
export function loadShader(file: string): Promise<string> {
  return readFile(new URL(file, folder), 'utf8');
}
