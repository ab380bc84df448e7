import { readFileSync } from 'node:fs';

/** The version of this package, whose package.json is beside `src` and `dist`. */
export const { version }: { readonly version: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);
