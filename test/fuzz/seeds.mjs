import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { folder } from './files.mjs';

/** The names of all targets. */
export const targetNames = readdirSync(join(folder, 'targets'))
  .map((file) => basename(file, '.mjs'))
  .sort();

export async function targetOf(name) {
  return (await import(`./targets/${name}.mjs`)).default;
}

/** Inputs that a fuzzer found to go new ways, and those that a reader once failed on: bytes by the names of their files. */
export function corpusOf(name, kind = 'corpus') {
  const place = join(folder, kind, name);
  const files = existsSync(place) ? readdirSync(place) : [];
  return new Map(files.sort().map((file) => [file, readFileSync(join(place, file))]));
}

/** All inputs that a target begins from. */
export async function seedsOf(name) {
  const { seeds } = await targetOf(name);
  return [...seeds(), ...corpusOf(name).values(), ...corpusOf(name, 'found').values()];
}
