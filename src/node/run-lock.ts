import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../gpu/errors.js';
import { describeFileError } from './data/files.js';

// Node has no locks of the operating system, and a network folder may have none either. The lock is a file that says which
// process has it. A process that is dead does not keep it: on the same machine that is known for certain, on another one by a
// time stamp that a living process renews.

const name = 'run.lock';
/** Milliseconds between two renewals, and after which a process of another machine counts as dead. */
const renewal = 10_000;
const patience = 120_000;

interface Holder {
  readonly host: string;
  readonly pid: number;
  /** When the process began, in the system's own units, where it tells: numbers of processes are used again. */
  readonly began?: string;
}

/**
 * Keeps a folder for this process, so that no second run writes there.
 * @returns what gives it back. The end of the process does so as well, however it comes.
 * @throws EngineError if another process that lives has it, or nothing can be written there.
 */
export async function lockFolder(folder: string): Promise<() => void> {
  const file = join(folder, name);
  const began = beginningOf(process.pid);
  const own = JSON.stringify({ host: hostname(), pid: process.pid, ...(began && { began }) });
  const temporary = `${file}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await writeFile(temporary, own, { flag: 'wx' });
    while (!(await claimed(temporary, file))) {
      const text = await readFile(file, 'utf8').catch(() => undefined);
      // It was given back just now.
      if (text === undefined) continue;
      const holder = holderIn(text);
      if (await lives(holder, file, temporary)) throw held(folder, holder);
      await takeAway(file, text);
    }
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError(
      `Nothing can be written to the folder ${folder}: ${describeFileError(error)}. Name another one.`,
      { cause: error },
    );
  } finally {
    await rm(temporary, { force: true });
  }
  const timer = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => {});
  }, renewal);
  timer.unref();
  const release = () => {
    clearInterval(timer);
    process.off('exit', release);
    try {
      // After its machine slept for long, another one may have it.
      if (readFileSync(file, 'utf8') === own) rmSync(file);
    } catch {
      // The folder is gone, and the lock with it.
    }
  };
  process.on('exit', release);
  return release;
}

/** Puts the lock in its place, with what it says, unless there is one. */
async function claimed(temporary: string, file: string): Promise<boolean> {
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code === 'ENOENT') throw error;
  }
  // Not every file system has links.
  try {
    await writeFile(file, await readFile(temporary), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the lock of a dead process, and no other that came meanwhile. */
async function takeAway(file: string, text: string): Promise<void> {
  const aside = `${file}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const taken = await readFile(aside, 'utf8').catch(() => text);
  if (taken !== text) await claimed(aside, file);
  await rm(aside, { force: true });
}

function holderIn(text: string): Holder | undefined {
  try {
    const { host, pid, began } = JSON.parse(text);
    return typeof host === 'string' && Number.isSafeInteger(pid) ? { host, pid, began } : undefined;
  } catch {
    return undefined;
  }
}

/** @param fresh a file that was written there just now: the folder's clock may differ from this machine's. */
async function lives(holder: Holder | undefined, file: string, fresh: string): Promise<boolean> {
  if (holder?.host === hostname()) {
    return exists(holder.pid) && (holder.began === undefined || holder.began === beginningOf(holder.pid));
  }
  const [last, now] = await Promise.all([stat(file), stat(fresh)]).catch(() => []);
  return last !== undefined && now.mtimeMs - last.mtimeMs < patience;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** When a process began: on Linux, clock ticks since the system did, and which start of the system that was. */
function beginningOf(pid: number): string | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program, in parentheses, may have spaces.
    const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
    // A dead process stays in the table until its parent asks for its end, which in containers may never come.
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    const ticks = fields[19];
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${ticks}`;
  } catch {
    return undefined;
  }
}

function held(folder: string, holder: Holder | undefined): EngineError {
  const who = holder ? `process ${holder.pid} on ${holder.host}` : 'another process';
  return new EngineError(
    `Another run (${who}) writes to the folder ${folder}. Wait for its end, or name another folder for this one.`,
  );
}
