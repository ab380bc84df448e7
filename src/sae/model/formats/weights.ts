import { DataError } from '../../errors.js';
import { type ArrayHeader, longestHeader } from '../../rows/formats/array.js';
import type { ByteSource } from '../../rows/formats/bytes.js';
import { npy } from '../../rows/formats/npy.js';
import { readSafetensorsHeader, type SafetensorsTypes } from '../../rows/formats/safetensors-header.js';
import { openTorch, TorchTensor } from '../../rows/formats/torch.js';
import { openZip, type ZipMember } from '../../rows/formats/zip.js';
import { failOf } from '../safetensors.js';
import { parseJsonObject, readBytes, refusal, refuse, restOf } from './bytes.js';
import {
  countOf,
  readTensor,
  rowMajorStrides,
  type StoredTensor,
  transposed,
  type Values,
  type ValueType,
  valueTypes,
} from './stored-tensor.js';

/** The tensors of a file, read one by one, and what else stands beside them. */
export class Weights {
  private readonly unread: Set<string>;

  constructor(
    /** The file's name in messages. */
    readonly file: string,
    readonly container: 'torch' | 'npz' | 'safetensors',
    readonly tensors: ReadonlyMap<string, StoredTensor>,
    /** Entries of a torch file that are not tensors. */
    readonly entries: ReadonlyMap<string, unknown> = new Map(),
    /** The line of JSON before a torch file, which saev writes. */
    readonly head?: Record<string, unknown>,
  ) {
    this.unread = new Set(tensors.keys());
  }

  has(...names: readonly string[]): boolean {
    return names.every((name) => this.tensors.has(name));
  }

  fail(sentence: string): never {
    return refuse(this.file, sentence);
  }

  /** [rows, columns] of a matrix. @throws ModelFileError if it has others than two sides, or an empty one. */
  sides(name: string): [number, number] {
    const { shape } = this.stored(name);
    const [rows, columns] = shape;
    return shape.length === 2 && rows > 0 && columns > 0
      ? [rows, columns]
      : this.fail(`its tensor ${name} has shape [${shape.join(', ')}], and a matrix was expected.`);
  }

  /** Reads a tensor of that shape, row-major. @throws ModelFileError for another shape and values that are not finite. */
  read(name: string, shape: readonly number[]): Promise<Values> {
    return this.readAs(this.stored(name), name, shape);
  }

  /** Reads a matrix that is stored [columns, rows] as [rows, columns]. */
  readTransposed(name: string, [rows, columns]: readonly [number, number]): Promise<Values> {
    this.expectShape(name, [columns, rows]);
    return this.readAs(transposed(this.stored(name)), name, [rows, columns]);
  }

  /** Reads a single number, of shape [] or [1]. */
  async readNumber(name: string): Promise<number> {
    const { shape } = this.stored(name);
    if (countOf(shape) !== 1 || shape.length > 1) {
      this.fail(`its tensor ${name} has shape [${shape.join(', ')}], and a single number was expected.`);
    }
    return (await this.readAs(this.stored(name), name, shape))[0];
  }

  /** The tensors of which nothing was read. */
  get passedOver(): string[] {
    return [...this.unread];
  }

  private stored(name: string): StoredTensor {
    return this.tensors.get(name) ?? this.fail(`it has no tensor ${name}; there are ${this.names()}.`);
  }

  /** Some of the tensors' names, for messages. */
  names(): string {
    const names = [...this.tensors.keys()];
    return names.length > 8 ? `${names.slice(0, 8).join(', ')} and others` : names.join(', ') || 'none';
  }

  private expectShape(name: string, expected: readonly number[]): void {
    const { shape } = this.stored(name);
    if (shape.join() !== expected.join()) {
      this.fail(`its tensor ${name} is [${shape.join(', ')}], and [${expected.join(', ')}] was expected.`);
    }
  }

  private async readAs(stored: StoredTensor, name: string, shape: readonly number[]): Promise<Values> {
    if (stored.shape.join() !== shape.join()) this.expectShape(name, shape);
    this.unread.delete(name);
    return readTensor(stored, `${this.file}, tensor ${name},`);
  }
}

/** Opens a file of tensors: one of torch.save, with or without saev's line before it, .npz or safetensors. */
export async function openWeights(file: ByteSource, source: string): Promise<Weights> {
  const start = await readBytes(file, 0, Math.min(10, file.length), source);
  // The first eight bytes of a safetensors file are a length, whose upper bytes are 0; any byte may be the first.
  if (start[7] === 0 && start[8] === brace) return openSafetensors(file, source);
  if (isZip(start)) {
    const members = await openZip(file, refusal(source));
    const arrays = [...members.keys()].every((name) => name.endsWith('.npy'));
    return arrays && members.size > 0 ? openNpz(members, source) : torchWeights(file, source);
  }
  if (start[0] === brace) return withHead(file, source);
  if (start[0] === 0x80 && start[1] <= 5) {
    refuse(
      source,
      'it was saved by PyTorch before 1.6, or is a bare pickle. Load it there and save the state_dict() once more with torch.save.',
    );
  }
  return openSafetensors(file, source);
}

/** `{`, with which an object in JSON begins. */
const brace = 0x7b;

function isZip(start: Uint8Array): boolean {
  return start[0] === 0x50 && start[1] === 0x4b && (start[2] === 3 || start[2] === 5);
}

async function torchWeights(
  file: ByteSource,
  source: string,
  head?: Record<string, unknown>,
): Promise<Weights> {
  const root = await openTorch(file, refusal(source));
  return root instanceof Map
    ? weightsOf(root, source, head)
    : refuse(source, 'it does not hold a dictionary of tensors: save the state_dict(), not the module.');
}

/** The tensors of a dictionary of a torch file. */
export function weightsOf(
  dictionary: ReadonlyMap<unknown, unknown>,
  source: string,
  head?: Record<string, unknown>,
): Weights {
  const tensors = new Map<string, StoredTensor>();
  const entries = new Map<string, unknown>();
  for (const [key, value] of dictionary) {
    if (value instanceof TorchTensor) tensors.set(String(key), value);
    else entries.set(String(key), value);
  }
  return new Weights(source, 'torch', tensors, entries, head);
}

/** saev writes its configuration as a line of JSON before the zip archive. */
async function withHead(file: ByteSource, source: string): Promise<Weights> {
  const start = await readBytes(file, 0, Math.min(2 ** 20, file.length), source);
  const end = start.indexOf(0x0a);
  if (end < 0 || !isZip(start.subarray(end + 1))) {
    refuse(source, 'it begins as JSON, and no zip archive of torch.save follows its first line.');
  }
  const head = parseJsonObject(start.subarray(0, end), source);
  return torchWeights(restOf(file, end + 1), source, head);
}

const safetensorsTypes: SafetensorsTypes = Object.fromEntries(
  Object.entries(valueTypes).map(([type, { bytes }]) => [type, bytes]),
);

async function openSafetensors(file: ByteSource, source: string): Promise<Weights> {
  const { places } = await readSafetensorsHeader(file, safetensorsTypes, failOf(source));
  const tensors = new Map<string, StoredTensor>();
  for (const { name, dtype, shape, begin, end } of places) {
    tensors.set(name, {
      type: dtype as ValueType,
      shape,
      strides: rowMajorStrides(shape),
      offset: 0,
      storage: () => readBytes(file, begin, end - begin, source),
    });
  }
  return new Weights(source, 'safetensors', tensors);
}

/** numpy.savez and savez_compressed: a zip archive of a .npy file an array. */
async function openNpz(members: ReadonlyMap<string, ZipMember>, source: string): Promise<Weights> {
  const tensors = new Map<string, StoredTensor>();
  for (const [file, member] of members) {
    tensors.set(file.slice(0, -'.npy'.length), await npyTensor(member, `${source}, array ${file},`));
  }
  return new Weights(source, 'npz', tensors);
}

async function npyTensor(member: ZipMember, source: string): Promise<StoredTensor> {
  const header = parseNpyHeader(await member.readStart(longestHeader), source);
  const { element, shape, fortranOrder, headerBytes } = header;
  const type = element.toUpperCase() as Uppercase<typeof element>;
  const size = valueTypes[type].bytes;
  const expected = headerBytes + countOf(shape) * size;
  if (member.length !== expected) {
    refuse(source, `it has ${member.length} bytes, and its header claims ${expected}.`);
  }
  if (!header.littleEndian && size > 1) {
    refuse(
      source,
      "its values are big-endian, and little-endian was expected (array.astype('<f4') makes it).",
    );
  }
  // In Fortran's order the first index runs fastest.
  const strides = fortranOrder ? rowMajorStrides(shape.toReversed()).reverse() : rowMajorStrides(shape);
  return {
    type,
    shape,
    strides,
    offset: 0,
    storage: async () => (await member.read()).slice(headerBytes),
  };
}

function parseNpyHeader(start: Uint8Array, source: string): ArrayHeader {
  try {
    const header = npy.recognizes(start) ? npy.parseHeader(start, source) : undefined;
    return header ?? refuse(source, 'it is not a .npy file with a whole header.');
  } catch (error) {
    if (error instanceof DataError) refuse(source, error.message, error);
    throw error;
  }
}
