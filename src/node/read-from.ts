// In a file of its own, so that this package's types do not need Node's.

import { type FileHandle, open } from 'node:fs/promises';
import type { ByteSource } from '../sae/rows/formats/bytes.js';

/** A system call reads at most about 2 GiB. */
const bytesAtATime = 2 ** 30;

/** Fills `into` with a file's bytes from `begin` on. @throws Error if it ends before. */
export async function readFrom(
  handle: FileHandle,
  begin: number,
  into: Uint8Array<ArrayBuffer>,
): Promise<void> {
  let done = 0;
  while (done < into.length) {
    const length = Math.min(bytesAtATime, into.length - done);
    const { bytesRead } = await handle.read(into, done, length, begin + done);
    if (bytesRead === 0) {
      throw new Error(`it ends at byte ${begin + done}, and was longer a moment ago`);
    }
    done += bytesRead;
  }
}

/** Reads a file, which is open for as long as that takes. @throws what `use` throws, and Error if it cannot be opened or read. */
export async function readingFile<T>(path: string, use: (file: ByteSource) => Promise<T>): Promise<T> {
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    return await use({ length: size, read: (begin, into) => readFrom(handle, begin, into) });
  } finally {
    await handle.close();
  }
}
