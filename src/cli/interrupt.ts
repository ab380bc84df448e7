import { constants } from 'node:os';
import { basename } from 'node:path';
import type { Reporter } from './reporter.js';

/**
 * Signals that ask a process to end, from: Ctrl-C; `kill`, `docker stop` and batch systems; a closing terminal;
 * Ctrl-\\; Ctrl-Break on Windows; a limit of processor time; and batch systems that send one some time before they end
 * the job.
 */
const signals = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGBREAK',
  'SIGXCPU',
  'SIGUSR1',
  'SIGUSR2',
] as const;
type Asking = (typeof signals)[number];
/** Milliseconds within which signals count as one: npm and `timeout` send a process a second one. */
const onePress = 200;

/** The reason with which a signal of `interruptible` is aborted, with the exit status. */
export class Interrupted extends Error {
  constructor(readonly status: number) {
    super();
  }
}

let running: AbortController | undefined;

/** Interrupts what is `interruptible`; false if nothing is. */
export function interrupt(status: number): boolean {
  running?.abort(new Interrupted(status));
  return running !== undefined;
}

/** A signal that is aborted with Interrupted when the process is asked to end; a second request ends it at once. @param what it is at work on. */
export function interruptible(reporter: Reporter, what: 'steps' | 'rows'): AbortSignal {
  const controller = new AbortController();
  running = controller;
  let pressed = Number.NEGATIVE_INFINITY;
  const stop = (name: Asking) => {
    interrupt(statusOf(name));
    const again = name === 'SIGINT' ? 'press Ctrl-C again' : 'send another signal';
    reporter.warn(`Stopping after the current ${what}; ${again} to quit at once.`);
  };
  for (const name of signals) {
    process.on(name, () => {
      const now = performance.now();
      if (now - pressed < onePress || (name === 'SIGHUP' && isNohup())) {
        return;
      }
      pressed = now;
      if (!controller.signal.aborted) {
        stop(name);
        return;
      }
      if (name === 'SIGXCPU') {
        // From then on the system sends it every second.
        return;
      }
      // The bar hides the cursor.
      reporter.stopBar();
      // Closing a software adapter may wait seconds for compilation; a third signal ends the process without that.
      process.removeAllListeners(name);
      process.exit(statusOf(name));
    });
  }
  if (process.env.npm_lifecycle_event !== undefined) {
    // npm passes SIGTERM to the shell of its script, which ends without passing it on to this process.
    const shell = process.ppid;
    setInterval(() => {
      if (process.ppid !== shell && !controller.signal.aborted) {
        stop('SIGTERM');
      }
    }, 500).unref();
  }
  return controller.signal;
}

/** 128 and the signal's number, as shells expect it. */
function statusOf(name: Asking): number {
  return 128 + (constants.signals as Record<string, number>)[name];
}

/**
 * Whether `nohup` runs this, by the shell's variable `_`: Node resets signals that its parent has set to be ignored.
 */
function isNohup(): boolean {
  return basename(process.env._ ?? '') === 'nohup';
}
