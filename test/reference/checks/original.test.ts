import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { long } from '../../support/long.js';
import '../../support/compare.js';
import { pythonWithTorch, runOriginal } from '../../support/original.js';
import { parityVectors } from '../vectors.js';

const python = pythonWithTorch();
const vector = parityVectors().find(({ name }) => name === 'kl/relu-16-8-3')!;

type Entry = { dtype: string; shape: number[]; data_offsets: number[] };

/** The vector's parameters in the safetensors format, after `change` had its way with header and data. */
function safetensors(
  change = (header: Record<string, Entry>, data: Float32Array) => ({ header, data }),
): Buffer {
  const header: Record<string, Entry> = {};
  const values: number[] = [];
  for (const [name, { shape, data }] of Object.entries(vector.params)) {
    const begin = 4 * values.length;
    values.push(...data);
    header[name] = { dtype: 'F32', shape, data_offsets: [begin, 4 * values.length] };
  }
  const changed = change(header, Float32Array.from(values));
  const text = JSON.stringify({ __metadata__: { format: 'pt' }, ...changed.header });
  const padded = Buffer.from(text.padEnd(8 * Math.ceil(text.length / 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded, Buffer.from(changed.data.buffer)]);
}

describe.skipIf(!python)('the loader of the original class', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sae-original-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function run(model: Buffer) {
    const rows: number[][] = [];
    const { in_dims } = vector.config;
    for (let i = 0; i < vector.x.length; i += in_dims) rows.push(vector.x.slice(i, i + in_dims));
    writeFileSync(join(folder, 'model.safetensors'), model);
    writeFileSync(join(folder, 'rows.json'), JSON.stringify(rows));
    return runOriginal(python!, join(folder, 'model.safetensors'), join(folder, 'rows.json'));
  }

  test('gives the vector its hidden values and output', () => {
    const { hidden, output } = run(safetensors());
    expect(hidden.flat()).toBeCloseTensor(vector.hidden, 1e-6);
    expect(output.flat()).toBeCloseTensor(vector.output, 1e-6);
  });

  test.runIf(long).each<[string, Buffer, string]>([
    ['a missing tensor', withoutLast(), 'Missing key'],
    ['a hole between tensors', holed(), 'leave a hole or overlap'],
    ['bytes after the last tensor', Buffer.concat([safetensors(), Buffer.alloc(4)]), '4 bytes follow'],
  ])('refuses %s', (_, model, message) => {
    expect(() => run(model)).toThrow(message);
  });
});

function withoutLast(): Buffer {
  return safetensors((header, data) => {
    const [begin, end] = header['decoder.4.bias'].data_offsets;
    delete header['decoder.4.bias'];
    return { header, data: data.slice(0, data.length - (end - begin) / 4) };
  });
}

function holed(): Buffer {
  return safetensors((header, data) => {
    header['decoder.4.bias'].data_offsets = header['decoder.4.bias'].data_offsets.map((offset) => offset + 4);
    return { header, data: Float32Array.from([...data, 0]) };
  });
}
