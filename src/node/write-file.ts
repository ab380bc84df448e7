import { rmSync } from 'node:fs';
import {
  access,
  constants,
  type FileHandle,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { describeFileError } from './data/files.js';
import { isDead, owner } from './owner.js';
import { statOf } from './stat.js';

// Libraries for this report success when the disk is full and the file is cut short: they do not check how many bytes
// were written. FileHandle.writeFile does, and accepts any length.

/** Files that are being written. They are removed if the process exits meanwhile. */
const unfinished = new Set<string>();
process.on('exit', () => {
  for (const file of unfinished) {
    try {
      rmSync(file, { force: true });
    } catch {
      // The next run removes it.
    }
  }
});

/** What the names of unfinished files end with: who writes them. */
const unfinishedName = /\.([0-9a-f]{8}(?:-\d+)?)(?:-\d+)?\.tmp$/;
let written = 0;

/**
 * Removes the unfinished files of processes that were killed.
 * @param names of the files that this program writes in that folder.
 * @param age in milliseconds, from which on one is taken for such a file where it cannot be known; 0 where no other process writes there.
 */
export async function removeUnfinished(folder: string, names: readonly string[], age = 0): Promise<void> {
  for (const entry of await readdir(folder).catch(() => [])) {
    const file = join(folder, entry);
    if (!unfinishedName.test(entry) || !names.includes(entry.replace(unfinishedName, ''))) continue;
    const old =
      age === 0 ||
      isDead(unfinishedName.exec(entry)![1]) ||
      Date.now() - ((await statOf(file).catch(() => undefined))?.mtimeMs ?? 0) > age;
    // What cannot be removed does no harm.
    if (old && !unfinished.has(file)) await rm(file, { force: true }).catch(() => {});
  }
}

/** Makes the error for a failure of the operating system; `why` has no full stop. */
export type FileFailure = (why: string, cause: unknown) => Error;

/**
 * Writes a file, part by part, under a temporary name beside it, flushes it and renames it: after a kill, a power cut,
 * a full disk or a failure of `parts` there is the old file or the whole new one. Links are followed, the old file's
 * mode is kept, and what is not a regular file (a device, a pipe) is written to, not replaced.
 * @throws `failure` if it cannot be written, as soon as that is known; and whatever `parts` throws.
 */
export async function writeWhole(
  file: string,
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  failure: FileFailure,
): Promise<void> {
  const onDisk = <T>(work: Promise<T>) =>
    work.catch((error) => {
      throw failure(describeFileError(error), error);
    });
  const fill = async (handle: FileHandle) => {
    for await (const part of parts) {
      await onDisk(handle.writeFile(part));
    }
  };

  const old = await onDisk(statOf(file));
  if (old && !old.isFile()) {
    // A folder is refused here, before any work. A pipe of this process, such as /dev/stdout, has no path of its own.
    const handle = await onDisk(open(file, 'w'));
    return fill(handle).finally(() => onDisk(handle.close()));
  }
  const target = await onDisk(targetOf(file));
  if (old) {
    await onDisk(access(target, constants.W_OK));
  }
  const temporary = `${target}.${owner()}-${written++}.tmp`;
  unfinished.add(temporary);
  try {
    const handle = await onDisk(open(temporary, 'wx', old?.mode));
    try {
      await fill(handle);
      await onDisk(handle.sync());
    } finally {
      await onDisk(handle.close());
    }
    await onDisk(rename(temporary, target));
    // Flushes the new name as well; not every system can flush a folder.
    await flushFolder(dirname(target)).catch(() => {});
  } catch (error) {
    // What cannot be removed now is removed by the next run.
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  } finally {
    unfinished.delete(temporary);
  }
}

/** Where a path leads, also where a link leads to a file that is still to be. */
async function targetOf(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const link = await readlink(file).catch(() => undefined);
    return link === undefined ? file : targetOf(resolve(dirname(file), link));
  }
}

/** Flushes the names in a folder. @throws the system's error; not every system can. */
export async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
