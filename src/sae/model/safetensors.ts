import { ModelFileError } from '../errors.js';
import { alternatives } from '../rows/formats/array.js';
import type { ByteSource } from '../rows/formats/file.js';
import type { Parameters } from './parameter.js';

// The format: eight bytes with the header's length (little-endian), the header as JSON that gives each tensor's type,
// shape and place, then the tensors' bytes one after another, little-endian.
// Specification: https://huggingface.co/docs/safetensors, section «Format».

/** The longest header that the reference implementation accepts. */
const longestHeader = 100_000_000;

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
  const header: Record<string, unknown> = { __metadata__: Object.fromEntries(metadata) };
  let end = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  // The header is padded with spaces, so that the tensors begin at a multiple of eight bytes.
  const headerLength = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerLength).fill(0x20, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.set(json, 8);
  yield bytes;
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
  const { metadata, places } = await readSafetensorsHeader(file, source, f32Only);
  const tensors: Parameters = new Map();
  for (const place of places) {
    const data = new Float32Array((place.end - place.begin) / 4);
    await file.read(place.begin, new Uint8Array(data.buffer));
    tensors.set(place.name, checked(place, data, fail));
  }
  return { tensors, metadata };
}

/** Bytes a value, by the names of types in a header. */
export type SafetensorsTypes = Readonly<Record<string, number>>;

/** What this program writes. */
const f32Only: SafetensorsTypes = { F32: 4 };

/**
 * Reads and checks the header alone: where each tensor lies, without its values.
 * @param types the types that tensors may have.
 * @throws ModelFileError with the place and what was expected there.
 */
export async function readSafetensorsHeader(
  file: ByteSource,
  source: string,
  types: SafetensorsTypes,
): Promise<{ metadata: ReadonlyMap<string, string>; places: readonly SafetensorsPlace[] }> {
  const fail = failOf(source);
  const start = new Uint8Array(Math.min(8, file.length));
  await file.read(0, start);
  const json = new Uint8Array(headerLength(start, file.length, fail));
  await file.read(8, json);
  return parseHeader(json, file.length, types, fail);
}

/** As `readSafetensors`, for a file in memory. */
export function decodeSafetensors(bytes: Uint8Array, source: string): Safetensors {
  const fail = failOf(source);
  const json = bytes.subarray(8, 8 + headerLength(bytes, bytes.length, fail));
  const { metadata, places } = parseHeader(json, bytes.length, f32Only, fail);
  const tensors: Parameters = new Map();
  for (const place of places) {
    // Copied, since the bytes may not be aligned to four. (`slice` of a Node Buffer would not copy.)
    const data = new Float32Array(new Uint8Array(bytes.subarray(place.begin, place.end)).buffer);
    tensors.set(place.name, checked(place, data, fail));
  }
  return { tensors, metadata };
}

type Fail = (sentence: string) => never;

function failOf(source: string): Fail {
  return (sentence) => {
    throw new ModelFileError(`${source} is not a model that can be read: ${sentence}`);
  };
}

/** The header's length, from the first eight bytes. */
function headerLength(start: Uint8Array, fileLength: number, fail: Fail): number {
  if (fileLength < 8) {
    fail(
      `it has ${fileLength} bytes, and a safetensors file begins with 8 bytes that give its header's length.`,
    );
  }
  const claimed = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (claimed > BigInt(Math.min(longestHeader, fileLength - 8))) {
    fail(
      `at byte 0 it claims a header of ${claimed} bytes, and ${fileLength - 8} follow (a truncated safetensors file, or another format).`,
    );
  }
  return Number(claimed);
}

/** A tensor's name, type, shape, and where its bytes lie in the file. */
export interface SafetensorsPlace {
  readonly name: string;
  readonly dtype: string;
  readonly shape: number[];
  readonly begin: number;
  readonly end: number;
}

/** Parses the header of a file of that length, and checks that its tensors lie one directly after the other. */
function parseHeader(
  json: Uint8Array,
  fileLength: number,
  types: SafetensorsTypes,
  fail: Fail,
): { metadata: Map<string, string>; places: SafetensorsPlace[] } {
  const dataBegin = 8 + json.length;
  const { __metadata__: freeText = {}, ...entries } = parseJson(json, fail);
  const metadata = new Map<string, string>();
  for (const [key, value] of Object.entries(
    isRecord(freeText) ? freeText : fail('its metadata is not an object.'),
  )) {
    metadata.set(key, typeof value === 'string' ? value : fail(`its metadata ${key} is not text.`));
  }

  const places: SafetensorsPlace[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const {
      dtype,
      shape,
      data_offsets: offsets,
    } = isRecord(entry) ? entry : fail(`${name} is not an object.`);
    if (typeof dtype !== 'string' || !Object.hasOwn(types, dtype)) {
      const expected = alternatives(Object.keys(types));
      return fail(`the tensor ${name} is of type ${JSON.stringify(dtype)}, and ${expected} was expected.`);
    }
    if (!isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) {
      return fail(`the tensor ${name} has no proper shape and data_offsets.`);
    }
    const [begin, end] = [dataBegin + offsets[0], dataBegin + offsets[1]];
    const expected = shape.reduce((product, length) => product * length, types[dtype]);
    if (end - begin !== expected) {
      fail(
        `the tensor ${name} [${shape}] needs ${expected} bytes, and its data_offsets hold ${end - begin}.`,
      );
    }
    if (end > fileLength) {
      fail(`the tensor ${name} ends at byte ${end}, and the file at ${fileLength}: it is truncated.`);
    }
    places.push({ name, dtype, shape, begin, end });
  }
  places.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = dataBegin;
  for (const place of places) {
    if (place.begin !== end) {
      fail(`the tensor ${place.name} begins at byte ${place.begin}, and ${end} was expected.`);
    }
    end = place.end;
  }
  if (end !== fileLength) {
    fail(`it has ${fileLength - end} bytes after its last tensor, from byte ${end} on.`);
  }
  return { metadata, places };
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

function parseJson(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let text = '';
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    header = JSON.parse(text);
  } catch {
    fail('its header, from byte 8 on, is not JSON.');
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) {
    fail(`its header has ${twice} twice.`);
  }
  return isRecord(header) ? header : fail('its header, from byte 8 on, is not a JSON object.');
}

/** A quoted key that an object of a JSON text has twice: the format forbids it; JSON.parse silently keeps the last. */
function duplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (const [token, text, colon] of json.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]/g)) {
    if (token === '{') {
      open.push(new Set());
    } else if (token === '}') {
      open.pop();
    } else if (colon) {
      const key = JSON.stringify(JSON.parse(text));
      const keys = open[open.length - 1];
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
