import { readFile } from 'node:fs/promises';

/** The folder of the package's WGSL files, which is beside `src` and `dist`. */
export const shaderFolder = new URL('../../shaders/', import.meta.url);

/** Reads a kernel's text from the package's `shaders` folder. */
export function loadShader(file: string): Promise<string> {
  return readFile(new URL(file, shaderFolder), 'utf8');
}
