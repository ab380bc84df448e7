import { ModelFileError } from '../../errors.js';
import { type ByteSource, type Fail, readPart } from '../../rows/formats/bytes.js';

/** @throws ModelFileError that says why a file or folder of another program cannot be imported. */
export function refuse(source: string, sentence: string, cause?: unknown): never {
  throw new ModelFileError(`${source} cannot be imported: ${sentence}`, cause === undefined ? {} : { cause });
}

/** A file in memory. */
export function bytesInMemory(bytes: Uint8Array): ByteSource {
  return {
    length: bytes.length,
    read: async (begin, into) => into.set(bytes.subarray(begin, begin + into.length)),
  };
}

/** The rest of a file, from `start` on. */
export function restOf(file: ByteSource, start: number): ByteSource {
  return {
    length: file.length - start,
    read: (begin, into) => file.read(start + begin, into),
  };
}

/**
 * The bytes [begin, begin + length) in memory of their own. Nothing is allocated for what the file does not have.
 * @throws ModelFileError.
 */
export function readBytes(
  file: ByteSource,
  begin: number,
  length: number,
  source: string,
): Promise<Uint8Array<ArrayBuffer>> {
  return readPart(file, begin, length, refusal(source));
}

/** `refuse` for one file. */
export function refusal(source: string): Fail {
  return (sentence, cause) => refuse(source, sentence, cause);
}

/** Longer texts than this are no configuration of a model. */
const longestText = 16 * 2 ** 20;

/** A whole file as JSON that has to be an object. @throws ModelFileError. */
export async function readJson(file: ByteSource, source: string): Promise<Record<string, unknown>> {
  if (file.length > longestText) {
    refuse(
      source,
      `it has ${file.length} bytes, and a configuration of at most ${longestText} was expected.`,
    );
  }
  return parseJsonObject(await readBytes(file, 0, file.length, source), source);
}

export function parseJsonObject(bytes: Uint8Array, source: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    refuse(source, 'its configuration is not JSON.', error);
  }
  return isObject(value) ? value : refuse(source, 'its configuration is not a JSON object.');
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map);
}
