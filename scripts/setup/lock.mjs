import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { root, say } from './run.mjs';

/**
 * Waits until no other set-up works in this folder, and keeps others out until this process exits. The lock is a file with
 * its holder's process number; that of a process that is gone counts for nothing.
 */
export async function takeLock() {
  const folder = join(root, 'dist');
  const file = join(folder, '.setup.lock');
  mkdirSync(folder, { recursive: true });
  let waiting = false;
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      process.on('exit', () => rmSync(file, { force: true }));
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = readHolder(file);
    if (holder === undefined) {
      rmSync(file, { force: true });
      continue;
    }
    if (!waiting) say(`Waiting for another set-up, ${holder} (where there is none, remove ${file}) ...`);
    waiting = true;
    await setTimeout(200);
  }
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
