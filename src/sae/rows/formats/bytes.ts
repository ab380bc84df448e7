/** Says why a file cannot be read. The sentence begins with a small letter: «it has ...». */
export type Fail = (sentence: string, cause?: unknown) => never;

/** Where the bytes of a file come from. */
export interface ByteSource {
  /** Bytes in all. */
  readonly length: number;
  /** Fills `into` with the bytes from `begin` on. */
  read(begin: number, into: Uint8Array<ArrayBuffer>): Promise<void>;
}

/**
 * The bytes [begin, begin + length) in memory of their own. Nothing is allocated for what the file does not have.
 * @param fail is called where the file is too short.
 */
export async function readPart(
  file: ByteSource,
  begin: number,
  length: number,
  fail: Fail,
): Promise<Uint8Array<ArrayBuffer>> {
  if (!(begin >= 0 && length >= 0 && begin + length <= file.length)) {
    fail(
      `it claims ${length} bytes from byte ${begin} on, and ends at byte ${file.length}. It is truncated or damaged.`,
    );
  }
  const bytes = allocate(length, fail);
  await file.read(begin, bytes);
  return bytes;
}

/** Memory for a part of a file. @param fail is called where there is none. */
export function allocate(length: number, fail: Fail): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (error) {
    return fail(`a part of it of ${length} bytes does not fit into this machine's memory.`, error);
  }
}
