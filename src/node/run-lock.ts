import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { link, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { EngineError } from '../gpu/errors.js';
import { describeFileError } from './data/files.js';
import { exists } from './owner.js';

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
  const id = randomBytes(4).toString('hex');
  const own = JSON.stringify({ host: hostname(), pid: process.pid, ...(began && { began }), id });
  const temporary = `${file}.${id}.tmp`;
  try {
    await writeFile(temporary, own, { flag: 'wx' });
    for (let holder = await claim(temporary, own, file); holder; holder = await claim(temporary, own, file)) {
      if (await isAlive(holder, file, temporary)) throw held(folder, holder.process);
      await takeAway(file, holder.text, temporary, own);
    }
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError(
      `Nothing can be written to the folder ${folder}: ${describeFileError(error)}. Name another one.`,
      { cause: error },
    );
  } finally {
    // What cannot be removed does no harm.
    await rm(temporary, { force: true }).catch(() => {});
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
      // After its machine slept for long, another one may have it. Read as text, node 20 aborts if the file cannot be closed.
      if (readFileSync(file).toString() === own) rmSync(file);
    } catch {
      // The folder is gone, and the lock with it.
    }
  };
  process.on('exit', release);
  return release;
}

/** What a lock says, and which process that is, if it can be understood. */
interface Claim {
  readonly text: string;
  readonly process: Holder | undefined;
}

/**
 * Puts a lock in its place, with what it says, unless there is one.
 * @param temporary has what it says; who has the folder may sweep it away at any time.
 * @returns the one that is there.
 */
async function claim(temporary: string, own: string, file: string): Promise<Claim | undefined> {
  for (;;) {
    if (await isPut(temporary, own, file)) return undefined;
    const text = await unlessGone(readFile(file, 'utf8'));
    // A network folder may do what it then calls a failure.
    if (text === own) return undefined;
    // Else it was given back just now.
    if (text !== undefined) return { text, process: holderIn(text) };
  }
}

async function isPut(temporary: string, own: string, file: string): Promise<boolean> {
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code === 'ENOENT') {
      await writeFile(temporary, own);
      return false;
    }
  }
  // Not every file system has links.
  try {
    await writeFile(file, own, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes the lock of a dead process, unless that was done meanwhile. Who removes it holds a lock on just that: otherwise two
 * processes find the same one, and the slower one removes the lock that the other has put in its place.
 */
async function takeAway(file: string, text: string, temporary: string, own: string): Promise<void> {
  const digest = createHash('sha256').update(text).digest('hex');
  const right = join(file, '..', `${name}.${digest.slice(0, 8)}.tmp`);
  const other = await claim(temporary, own, right);
  if (other) {
    if (await isAlive(other, right, temporary)) await pause(5);
    else await takeAway(right, other.text, temporary, own);
    return;
  }
  try {
    if ((await unlessGone(readFile(file, 'utf8'))) === text) await rm(file, { force: true });
  } finally {
    await rm(right, { force: true });
  }
}

/** Undefined where there is no such file. */
function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
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
async function isAlive({ process }: Claim, file: string, fresh: string): Promise<boolean> {
  if (process?.host === hostname()) {
    return exists(process.pid) && (process.began === undefined || process.began === beginningOf(process.pid));
  }
  const [last, now] = await Promise.all([unlessGone(stat(file)), unlessGone(stat(fresh))]);
  // Where one of them is gone, somebody has the folder.
  return !last || !now || now.mtimeMs - last.mtimeMs < patience;
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
