import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const read = (name: string) => readFileSync(join(process.env.SAE_SITE!, name), 'utf8');

test('the page has the licences of all that it is made of', () => {
  const page = read('licenses.txt');
  const found: { name: string; version: string; text: string }[] = JSON.parse(read('vite-licenses.json'));
  expect(found.length).toBeGreaterThan(10);
  const named = [...page.matchAll(/^-{80}\n\n(\S+) (\S+) \(.+\)$/gm)].map(
    ([, name, version]) => `${name} ${version}`,
  );
  expect(named.sort()).toEqual(found.map(({ name, version }) => `${name} ${version}`).sort());
  for (const { text } of found) expect(page).toContain(text);
  expect(page).toContain('Creative Commons Attribution-ShareAlike 3.0');
  expect(page).toContain('Public Domain Dedication and License 1.0');
});
