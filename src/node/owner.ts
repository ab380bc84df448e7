import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

// Temporary files have their process in their names, so that the next run knows at once which of them are left of a dead one.

let machine: string | undefined;

/** This process, for names of temporary files: eight hexadecimal digits of its machine, and its number. */
export function owner(): string {
  machine ??= machineName();
  return `${machine}-${process.pid}`;
}

/** Whether an owner is known to be dead. Of another machine's nothing is known. */
export function isDead(name: string): boolean {
  const [where, pid] = name.split('-');
  return pid !== undefined && where === owner().split('-')[0] && !exists(Number(pid));
}

/** Whether this machine has a process of that number. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Machines, and containers on one, may share a folder, and have processes of the same numbers. */
function machineName(): string {
  const told = [
    hostname,
    () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'),
    () => readlinkSync('/proc/self/ns/pid'),
  ].map((tell) => {
    try {
      return tell();
    } catch {
      return '';
    }
  });
  return createHash('sha256').update(JSON.stringify(told)).digest('hex').slice(0, 8);
}
