// In a file of its own, so that this package's types do not need Node's.

import type { FileHandle } from 'node:fs/promises';

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
