import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { EngineError } from '../../dist/gpu/errors.js';
import { buildForNode } from '../../scripts/fuzz/browser.mjs';
import { long } from '../support/long.js';
import { check } from './check.mjs';
import { fuzzByMutation } from './mutations.mjs';
import { watchPaths } from './paths.mjs';
import { corpusOf, targetNames, targetOf } from './seeds.mjs';

const seed = 42;
const inputs = long ? 100 : 10;

const work = fileURLToPath(new URL('work/browser', import.meta.url));
beforeAll(async () => {
  mkdirSync(work, { recursive: true });
  await buildForNode(work);
});

describe('what a reader once failed on is read, or refused in a sentence', () => {
  it.each(targetNames)('%s', async (name) => {
    const target = await targetOf(name);
    for (const [file, input] of [...corpusOf(name, 'found'), ...corpusOf(name)]) {
      await check(target, input).catch((error) => {
        throw new Error(`${name}, ${file}: ${error.message}`, { cause: error });
      });
    }
  });
});

it(`what mutations of seed ${seed} make of all readers' files, ${inputs} each`, async () => {
  const { counts, faults } = await fuzzByMutation(targetNames, seed, { inputs });
  expect(
    faults.map(({ name, number, error }) => `${name}, input ${number} of seed ${seed}: ${error.message}`),
  ).toEqual([]);
  expect(Object.fromEntries(counts)).toEqual(Object.fromEntries(targetNames.map((name) => [name, inputs])));
});

describe('what the harness takes for a fault', () => {
  const faults: readonly [name: string, read: (input: Buffer) => unknown, sentence: RegExp][] = [
    ['another error', () => (undefined as unknown as []).length, /threw TypeError/],
    ['memory that a file claims', () => new Float32Array(2 ** 30), /asked for 4294967296 of memory/],
    ['a message that is no sentence', () => Promise.reject(new EngineError('gone')), /Its message is "gone"/],
    ['a file elsewhere', () => elsewhere(), /It asked for .*hosts\./],
    ['the same where the error is caught', () => void allocated(2 ** 30), /asked for 1073741824 of memory/],
  ];
  it.each(faults)('%s', async (_, read, sentence) => {
    await expect(check({ seeds: () => [], read }, Buffer.alloc(100))).rejects.toThrow(sentence);
  });
});

function elsewhere() {
  watchPaths('/nowhere');
  return readFile('/etc/hosts').catch(() => {});
}

function allocated(bytes: number) {
  try {
    return new Uint8Array(bytes);
  } catch {
    return undefined;
  }
}
