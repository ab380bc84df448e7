import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { root, SetupError, say } from './run.mjs';

/**
 * Waits until no other set-up works in this folder, and keeps others out until this process exits. The lock is a file with
 * its holder's process number; that of a process that is gone counts for nothing.
 */
export async function takeLock() {
  const folder = join(root, 'dist');
  const file = join(folder, '.setup.lock');
  let waiting = false;
  for (;;) {
    try {
      mkdirSync(folder, { recursive: true });
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      process.on('exit', () => rmSync(file, { force: true }));
      return;
    } catch (error) {
      if (['EACCES', 'EPERM', 'EROFS'].includes(error.code)) {
        throw new SetupError(
          `Something is still to be installed or built, and nothing can be written into ${folder} (${error.code}). Run this once as the user whose folder it is, or in a copy of your own.`,
        );
      }
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = readHolder(file);
    if (holder === undefined) {
      if (!removeStale(file)) await setTimeout(20);
      continue;
    }
    if (!waiting) say(`Waiting for another set-up, ${holder} (where there is none, remove ${file}) ...`);
    waiting = true;
    await setTimeout(200);
  }
}

/**
 * Removes a lock whose holder is gone: one process at a time, which looks at it again, or a second could remove the new lock of a
 * third that was quicker. False where another one is at it.
 */
function removeStale(file) {
  const guard = `${file}.stale`;
  try {
    mkdirSync(guard);
  } catch {
    // A guard is there for a moment only, unless its process was killed just then.
    const since = statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - since > 10_000) rmSync(guard, { recursive: true, force: true });
    return false;
  }
  try {
    if (readHolder(file) === undefined) rmSync(file, { force: true });
  } finally {
    rmSync(guard, { recursive: true, force: true });
  }
  return true;
}

/** The process that holds the lock, if it is still there. */
function readHolder(file) {
  try {
    const holder = readFileSync(file, 'utf8');
    // Empty while its holder is about to write, which is soon done.
    if (holder === '') return Date.now() - statSync(file).mtimeMs < 5000 ? 'that just started' : undefined;
    process.kill(Number(holder), 0);
    return `process ${holder}`;
  } catch (error) {
    return error.code === 'EPERM' ? 'of another user' : undefined;
  }
}
