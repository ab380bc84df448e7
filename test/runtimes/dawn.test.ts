import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { installed } from '../support/installed.js';
import { few, long } from '../support/long.js';

const { folder, main, own } = installed();
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  return { status, stdout, stderr };
}

const dawn = join('dist', system(), 'dawn.node');
const binary = join(
  own('webgpu', (file) => !file.endsWith('.node') || file.endsWith(dawn)),
  dawn,
);
const whole = readFileSync(binary);

function system(): string {
  return process.platform === 'darwin' ? 'darwin-universal' : `${process.platform}-${process.arch}`;
}

/** The binary, made for a C library that nobody has yet. */
function ofLater(): Buffer {
  const bytes = Buffer.from(whole);
  const text = bytes.toString('latin1');
  for (const { index } of text.matchAll(/\0GLIBC_2\.34\0/g)) {
    bytes.write('GLIBC_9.99', index + 1, 'latin1');
  }
  return bytes;
}

const sentence = (why: RegExp) =>
  new RegExp(
    `^(sae: )?Dawn, which runs WebGPU here, cannot be loaded \\([^\\n]*${why.source}[^\\n]*\\)\\. It supports [^\\n]*\\n$`,
  );
const train = ['--dataset', 'mnist-10k', '--epochs', '1'];

const broken = [
  { what: 'damaged', bytes: () => Buffer.alloc(4096, 7), why: /dawn\.node/ },
  { what: 'missing', bytes: () => undefined, why: /dawn\.node/ },
  ...(process.platform === 'linux'
    ? [{ what: 'of a later system', bytes: ofLater, why: /GLIBC_9\.99' not found/ }]
    : []),
];
describe.each(long ? broken : broken.slice(0, 1))(
  'where the binary of Dawn is $what',
  ({ what, bytes, why }) => {
    beforeAll(() => {
      rmSync(binary, { force: true });
      const content = bytes();
      if (content) writeFileSync(binary, content);
    });

    test('the command line says what it is, what it takes, and why it cannot train', () => {
      expect(run(main, '--version')).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
      expect(run(main, '--help')).toMatchObject({ status: 0, stderr: '' });
      expect(run(main, ...train)).toMatchObject({ status: 1, stderr: expect.stringMatching(sentence(why)) });
    });

    // What the binary lacks makes no difference to the rest.
    if (what !== 'damaged') return;

    test.each(few([[['devices']], [['bench']], [[...train, '--adapter', 'llvmpipe']]], 2))(
      'so do all commands that need a GPU: sae %s',
      (args) => {
        expect(run(main, ...args)).toEqual({
          status: 1,
          stdout: '',
          stderr: expect.stringMatching(sentence(why)),
        });
      },
    );

    test('a program has all else of the package', () => {
      const program = `
      import { decodeModel, loadDatasets, NoAdapterError, openGpu } from 'webgpu-sae';
      const { train } = await loadDatasets({ dataset: 'mnist-10k' });
      console.log(train.rows, typeof decodeModel);
      await openGpu().catch((error) => {
        console.log(error instanceof NoAdapterError, error.cause instanceof Error);
        console.error(error.message);
      });`;
      expect(run('--input-type=module', '-e', program)).toEqual({
        status: 0,
        stdout: '10000 function\ntrue true\n',
        stderr: expect.stringMatching(sentence(why)),
      });
    });
  },
);
