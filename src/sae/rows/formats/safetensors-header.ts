import { alternatives, product } from './array.js';
import type { ByteSource, Fail } from './bytes.js';

// The format: eight bytes with the header's length (little-endian), the header as JSON that gives each tensor's type,
// shape and place, then the tensors' bytes one after another, little-endian.
// Specification: https://huggingface.co/docs/safetensors, section «Format».

/** The longest header that the reference implementation accepts. */
const longestHeader = 100_000_000;

/** Bytes a value, by the names of types in a header. */
export type SafetensorsTypes = Readonly<Record<string, number>>;
/** The types that tensors may have, all of them or each by its name. */
type Allowed = SafetensorsTypes | ((name: string) => SafetensorsTypes);

/**
 * Reads and checks the header alone: where each tensor lies, without its values.
 * @param types the types that tensors may have.
 * @param fail is called with the place and what was expected there.
 */
export async function readSafetensorsHeader(
  file: ByteSource,
  types: Allowed,
  fail: Fail,
): Promise<{ metadata: ReadonlyMap<string, string>; places: readonly SafetensorsPlace[] }> {
  const start = new Uint8Array(Math.min(8, file.length));
  await file.read(0, start);
  const json = new Uint8Array(headerLength(start, file.length, fail));
  await file.read(8, json);
  return parseHeader(json, file.length, types, fail);
}

/** The header's length, from the first eight bytes. */
export function headerLength(start: Uint8Array, fileLength: number, fail: Fail): number {
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

/** The types of tensors that are written. */
export const writtenTypes = { U8: 1, U32: 4, I32: 4, I64: 8, F32: 4, F64: 8 } as const;

/** A tensor that is to be written. */
export interface WrittenTensor {
  readonly name: string;
  readonly dtype: keyof typeof writtenTypes;
  readonly shape: readonly number[];
}

/** The bytes of a file before those of its tensors, which follow in this order; these begin at a multiple of eight. */
export function safetensorsHeader(
  tensors: readonly WrittenTensor[],
  metadata: ReadonlyMap<string, string>,
): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: Object.fromEntries(metadata) };
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    const begin = end;
    end += product(shape) * writtenTypes[dtype];
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - 8), true);
  bytes.set(json, 8);
  return bytes;
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
export function parseHeader(
  json: Uint8Array,
  fileLength: number,
  types: Allowed,
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
    const allowed = typeof types === 'function' ? types(name) : types;
    if (typeof dtype !== 'string' || !Object.hasOwn(allowed, dtype)) {
      const expected = alternatives(Object.keys(allowed));
      return fail(`the tensor ${name} is of type ${JSON.stringify(dtype)}, and ${expected} was expected.`);
    }
    if (!isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) {
      return fail(`the tensor ${name} has no proper shape and data_offsets.`);
    }
    const [begin, end] = [dataBegin + offsets[0], dataBegin + offsets[1]];
    const expected = shape.reduce((product, length) => product * length, allowed[dtype]);
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
