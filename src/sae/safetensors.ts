import { ModelFileError } from './errors.js';
import type { Parameters } from './model.js';

// The format: eight bytes with the header's length (little-endian), the header as JSON that gives each tensor's type,
// shape and place, then the tensors' bytes one after another, little-endian.
// Specification: https://huggingface.co/docs/safetensors, section «Format».

/** The longest header that the reference implementation accepts. */
const longestHeader = 100_000_000;

/** What a file holds: f32 tensors and free text by keys. */
export interface Safetensors {
  readonly tensors: Parameters;
  readonly metadata: ReadonlyMap<string, string>;
}

/** The bytes of a safetensors file with these f32 tensors, in this order. */
export function encodeSafetensors({ tensors, metadata }: Safetensors): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: Object.fromEntries(metadata) };
  let end = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  // Spaces after the header, so that the tensors begin at a multiple of eight bytes.
  const headerLength = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerLength + end).fill(0x20, 8, 8 + headerLength);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(headerLength), true);
  bytes.set(json, 8);
  let at = 8 + headerLength;
  for (const { data } of tensors.values()) {
    new Float32Array(bytes.buffer, at, data.length).set(data);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * Reads a safetensors file of f32 tensors, trusting nothing in it.
 * @param source what messages call the file.
 * @throws ModelFileError with the place and what was expected there.
 */
export function decodeSafetensors(bytes: Uint8Array, source: string): Safetensors {
  const fail = (sentence: string): never => {
    throw new ModelFileError(`${source} is not a model that can be read: ${sentence}`);
  };
  if (bytes.length < 8) {
    fail(`it has ${bytes.length} bytes, and a safetensors file begins with 8 that give its header's length.`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const claimed = view.getBigUint64(0, true);
  if (claimed > BigInt(Math.min(longestHeader, bytes.length - 8))) {
    fail(
      `at byte 0 it claims a header of ${claimed} bytes, and ${bytes.length - 8} follow (a truncated safetensors file, or another format).`,
    );
  }
  const dataBegin = 8 + Number(claimed);
  const header = parseHeader(bytes.subarray(8, dataBegin), fail);
  const available = bytes.length - dataBegin;
  const { __metadata__: freeText = {}, ...entries } = header;
  const metadata = new Map<string, string>();
  for (const [key, value] of Object.entries(
    isRecord(freeText) ? freeText : fail('its metadata is no object.'),
  )) {
    metadata.set(key, typeof value === 'string' ? value : fail(`its metadata ${key} is not text.`));
  }

  const places: { name: string; shape: number[]; begin: number; end: number }[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const { dtype, shape, data_offsets: offsets } = isRecord(entry) ? entry : fail(`${name} is no object.`);
    if (dtype !== 'F32') {
      fail(`the tensor ${name} is of type ${JSON.stringify(dtype)}, and F32 was expected.`);
    }
    if (!isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) {
      return fail(`the tensor ${name} has no proper shape and data_offsets.`);
    }
    const [begin, end] = offsets;
    const expected = shape.reduce((product, length) => product * length, 4);
    if (end - begin !== expected) {
      fail(
        `the tensor ${name} [${shape}] needs ${expected} bytes, and its data_offsets hold ${end - begin}.`,
      );
    }
    if (end > available) {
      fail(
        `the tensor ${name} ends at byte ${dataBegin + end}, and the file at ${bytes.length}: it is truncated.`,
      );
    }
    places.push({ name, shape, begin, end });
  }
  places.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  const tensors: Parameters = new Map();
  for (const place of places) {
    if (place.begin !== end) {
      fail(
        `the tensor ${place.name} begins at byte ${dataBegin + place.begin}, and ${dataBegin + end} was expected.`,
      );
    }
    end = place.end;
    // A copy: the bytes need not lie at a multiple of four. (`slice` of a Node Buffer would not copy.)
    const data = new Float32Array(
      new Uint8Array(bytes.subarray(dataBegin + place.begin, dataBegin + place.end)).buffer,
    );
    const wrong = data.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) {
      fail(
        `the tensor ${place.name} has ${data[wrong]} at index ${wrong} (byte ${dataBegin + place.begin + wrong * 4}), and finite values were expected.`,
      );
    }
    tensors.set(place.name, { shape: place.shape, data });
  }
  if (end !== available) {
    fail(`it has ${available - end} bytes after its last tensor, from byte ${dataBegin + end} on.`);
  }
  return { tensors, metadata };
}

function parseHeader(bytes: Uint8Array, fail: (sentence: string) => never): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    fail('its header, from byte 8 on, is not JSON.');
  }
  return isRecord(header) ? header : fail('its header, from byte 8 on, is not a JSON object.');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
