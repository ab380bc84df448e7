import { existsSync } from 'node:fs';
import { access, constants, mkdir, open, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError } from '../gpu/errors.js';
import { describeFileError } from './data/files.js';

/**
 * Makes a folder and missing ones above it, so that a long run does not fail at its end.
 * @throws EngineError if that fails, or nothing can be written there.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await makeWithParents(folder);
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new EngineError(
      `Nothing can be written to the folder ${folder}: ${describeFileError(error)}. Name another one.`,
      { cause: error },
    );
  }
}

/** So much of a file tells whether this program made it. */
const telling = 2 ** 20;

/**
 * Checks whether a file can be written, or replaced, later.
 * @param ours whether this program made a file that begins so: another one's may be the only copy.
 * @param most bytes of its beginning that tell.
 * @throws EngineError if it is a folder, write-protected or somebody else's.
 */
export async function checkFile(
  file: string,
  ours: (content: Uint8Array) => boolean,
  most = telling,
): Promise<void> {
  let content: Uint8Array | undefined;
  try {
    const status = await stat(file);
    if (status.isDirectory()) {
      throw Object.assign(new Error(), { code: 'EISDIR' });
    }
    await access(file, constants.W_OK);
    if (status.isFile() && status.size > 0) {
      const handle = await open(file);
      const { buffer, bytesRead } = await handle
        .read(Buffer.alloc(Math.min(status.size, most)))
        .finally(() => handle.close());
      content = buffer.subarray(0, bytesRead);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new EngineError(`${file} cannot be written: ${describeFileError(error)}.`, { cause: error });
    }
  }
  if (content && !ours(content)) {
    throw new EngineError(
      `${file} was not made by this program, or is damaged, so it is not replaced. Move it, or choose another folder.`,
    );
  }
}

/** Like mkdir's `recursive`, which never ends if the system answers ENOENT, as it does in /proc. */
async function makeWithParents(folder: string): Promise<void> {
  const above = dirname(folder);
  if (above !== folder && !existsSync(above)) {
    await makeWithParents(above);
  }
  try {
    await mkdir(folder);
  } catch (error) {
    const there = (error as NodeJS.ErrnoException).code === 'EEXIST' && (await stat(folder)).isDirectory();
    if (!there) {
      throw error;
    }
  }
}

/**
 * Checks, before the work, that a disk has room for its result.
 * @param what the result's name in the message.
 * @throws EngineError with the needed and the free space.
 */
export async function checkRoom(folder: string, bytes: number, what: string): Promise<void> {
  // If the system does not know, a failed write will show it.
  const disk = await statfs(folder).catch(() => undefined);
  const free = disk && disk.blocks > 0 ? disk.bavail * disk.bsize : Number.POSITIVE_INFINITY;
  if (free < bytes) {
    const megabytes = (count: number) => (count / 1e6).toLocaleString('en', { maximumSignificantDigits: 3 });
    throw new EngineError(
      `The disk of ${folder} has ${megabytes(free)} MB free, and ${what} needs ${megabytes(bytes)} MB. Make room or name another folder.`,
    );
  }
}
