import { ModelFileError } from '../errors.js';
import type { ByteSource, Fail } from '../rows/formats/bytes.js';
import {
  headerLength,
  parseHeader,
  readSafetensorsHeader,
  type SafetensorsPlace,
  type SafetensorsTypes,
  safetensorsHeader,
  writtenTypes,
} from '../rows/formats/safetensors-header.js';
import type { Parameters } from './parameter.js';

/** The contents of a file: f32 tensors, and texts by keys. */
export interface Safetensors {
  readonly tensors: Parameters;
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * The parts of a safetensors file of these f32 tensors, in this order: the header, then each tensor's bytes, which are
 * not copied.
 */
export function* safetensorsParts({ tensors, metadata }: Safetensors): Generator<Uint8Array<ArrayBuffer>> {
  const f32 = [...tensors].map(([name, { shape }]) => ({ name, dtype: 'F32', shape }) as const);
  yield safetensorsHeader(f32, metadata);
  for (const { data } of tensors.values()) {
    yield new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  }
}

/**
 * Reads a safetensors file of f32 tensors, and checks all of it: the header first, then each tensor.
 * @param source the file's name in messages.
 * @throws ModelFileError with the place and what was expected there.
 */
export async function readSafetensors(file: ByteSource, source: string): Promise<Safetensors> {
  const fail = failOf(source);
  const { metadata, places } = await readSafetensorsHeader(file, modelTypes, fail);
  const tensors: Parameters = new Map();
  for (const place of places.filter(({ name }) => isOfModel(name))) {
    const data = new Float32Array((place.end - place.begin) / 4);
    await file.read(place.begin, new Uint8Array(data.buffer));
    tensors.set(place.name, checked(place, data, fail));
  }
  return { tensors, metadata };
}

/** Names of tensors that a snapshot of a training has besides its model's begin with this. */
export const snapshotPrefix = 'snapshot/';

const isOfModel = (name: string) => !name.startsWith(snapshotPrefix);
/** What this program writes. A snapshot is read as the model in it. */
const modelTypes = (name: string): SafetensorsTypes => (isOfModel(name) ? { F32: 4 } : writtenTypes);

/** As `readSafetensors`, for a file in memory. */
export function decodeSafetensors(bytes: Uint8Array, source: string): Safetensors {
  const fail = failOf(source);
  const json = bytes.subarray(8, 8 + headerLength(bytes, bytes.length, fail));
  const { metadata, places } = parseHeader(json, bytes.length, modelTypes, fail);
  const tensors: Parameters = new Map();
  for (const place of places.filter(({ name }) => isOfModel(name))) {
    // Copied, since the bytes may not be aligned to four. (`slice` of a Node Buffer would not copy.)
    const data = new Float32Array(new Uint8Array(bytes.subarray(place.begin, place.end)).buffer);
    tensors.set(place.name, checked(place, data, fail));
  }
  return { tensors, metadata };
}

/** Says what is wrong with a file in the safetensors format. */
export function failOf(source: string): Fail {
  return (sentence) => {
    throw new ModelFileError(`${source} is not a model that can be read: ${sentence}`);
  };
}

function checked({ name, shape, begin }: SafetensorsPlace, data: Float32Array<ArrayBuffer>, fail: Fail) {
  // A plain loop takes a third of the time of `findIndex`, which matters for billions of values.
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) {
      fail(
        `the tensor ${name} has ${data[i]} at index ${i} (byte ${begin + i * 4}), and finite values were expected.`,
      );
    }
  }
  return { shape, data };
}
