import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { bytesInMemory, type ImportedSae, importSae } from '../../src/sae/model/formats/index.js';
import { decodeNpy } from './npy.js';
import { bytesOf } from './zip-file.js';

interface Figures {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** A folder of test/fixtures/formats. */
export interface FormatFixture {
  /** The model's files, by their names. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** [16, in_dims]. */
  readonly x: Float32Array;
  /** What the program itself, or the reference that its README names, made of x. */
  readonly expected: { readonly encode: Figures; readonly decode: Figures; readonly [name: string]: Figures };
}

const root = new URL('../fixtures/formats/', import.meta.url);

export function formatFixture(name: string): FormatFixture {
  const folder = new URL(`${name}/`, root);
  const all = readdirSync(folder).map((file) => [file, readFileSync(new URL(file, folder))] as const);
  const files = Object.fromEntries(all);
  const { 'x.npy': x, 'expected.json': expected, ...model } = files;
  return {
    files: model,
    x: decodeNpy(x).values,
    expected: JSON.parse(expected.toString()),
  };
}

/** Imports files that are in memory. */
export function importBytes(
  files: Readonly<Record<string, Uint8Array>>,
  name?: string,
): Promise<ImportedSae> {
  const sources = Object.entries(files).map(([file, bytes]) => [file, bytesInMemory(bytes)] as const);
  return importSae(new Map(sources), name ?? basename(Object.keys(files)[0]));
}

/** A file of the same JSON object with some fields replaced. */
export function withFields(file: Uint8Array, fields: object): Uint8Array {
  return jsonFile({ ...JSON.parse(new TextDecoder().decode(file)), ...fields });
}

export function jsonFile(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** A tensor for `safetensorsFile`. */
export interface SafetensorsValue {
  readonly shape: readonly number[];
  /** `F32` by default. */
  readonly dtype?: string;
  readonly bytes: Uint8Array;
}

/** A safetensors file of any types. */
export function safetensorsFile(tensors: Readonly<Record<string, SafetensorsValue>>): Uint8Array {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, { shape, dtype = 'F32', bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length] };
    end += bytes.length;
  }
  const json = jsonFile(header);
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(json.length), true);
  return bytesOf(new Uint8Array(length.buffer), json, ...Object.values(tensors).map(({ bytes }) => bytes));
}

/** The tensors of a folder of test/fixtures/formats/weights as bytes. */
export function fixtureBytes(fixture: FormatFixture): Record<string, SafetensorsValue> {
  return tensorBytes(fixture.files['weights.safetensors']);
}

/** The tensors of a safetensors file as bytes. */
export function tensorBytes(file: Uint8Array): Record<string, SafetensorsValue> {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> =
    JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const { __metadata__: _, ...tensors } = header;
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, data_offsets }]) => {
      const [begin, end] = data_offsets.map((offset) => 8 + length + offset);
      return [name, { dtype, shape, bytes: file.subarray(begin, end) }];
    }),
  );
}

/** f32 values from anywhere among other bytes. */
export function f32Values(bytes: Uint8Array): Float32Array {
  return new Float32Array(Uint8Array.from(bytes).buffer);
}
