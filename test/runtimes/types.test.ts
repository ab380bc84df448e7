import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { installed } from '../support/installed.js';
import { long } from '../support/long.js';

const path = (from: string) => fileURLToPath(new URL(from, import.meta.url));
const before = path('node_modules/typescript/bin/tsc');
const today = path('../../node_modules/typescript/bin/tsc');
if (!existsSync(before)) {
  console.log('TypeScript 5.9 does not check the types: it is not in test/runtimes/node_modules.');
}

const { folder } = installed();
// A project without any types of its own: no @types of this one may be found.
rmSync(join(folder, 'node_modules/@types'));
cpSync(path('consumer.ts'), join(folder, 'consumer.ts'));
writeFileSync(join(folder, 'package.json'), '{"type":"module"}');

/** What the compiler says of a program that uses the package. */
function check(compiler: string, options: object): string {
  const compilerOptions = { target: 'es2022', noEmit: true, ...options };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
  const args = [compiler, '-p', folder];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return status === 0 ? '' : stdout + stderr;
}

// All declarations but TypeScript's own, which take longest.
const strictest = {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  skipDefaultLibCheck: true,
};
const nodenext = { module: 'nodenext', moduleResolution: 'nodenext' };
// zod's own types need the flag there.
const node10 = { module: 'esnext', moduleResolution: 'node10', allowSyntheticDefaultImports: true };

// The old resolution finds other declarations, of other packages too.
test.runIf(long && existsSync(before)).each([
  ['nodenext, checking libraries too', { ...nodenext, ...strictest }],
  ['node10, checking libraries too', { ...node10, ...strictest }],
])('TypeScript 5.9 finds the types of all entrances: %s', (_, options) => {
  expect(check(before, options)).toBe('');
});

// That has WebGPU in its own DOM library, and no old resolution any more.
test('TypeScript 7 finds the types of all entrances, checking libraries too', () => {
  expect(check(today, { ...nodenext, ...strictest })).toBe('');
});

test('tools find the package\u2019s own description', () => {
  const script = `console.log(require('webgpu-sae/package.json').name)`;
  const { stdout } = spawnSync(process.execPath, ['-e', script], { cwd: folder, encoding: 'utf8' });
  expect(stdout).toBe('webgpu-sae\n');
});
