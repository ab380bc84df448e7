import type { Reporter } from './reporter.js';

/** Exit status after Ctrl-C, as shells expect it: 128 + SIGINT. */
export const interruptedStatus = 130;
const terminatedStatus = 143;

/** Why a signal of `interruptible` was aborted. */
export class Interrupted extends Error {}

/** A signal that the first Ctrl-C aborts with Interrupted; the second ends the process at once. */
export function interruptible(reporter: Reporter): AbortSignal {
  const controller = new AbortController();
  const quit = (status: number) => {
    // The bar hides the cursor.
    reporter.stopBar();
    process.exit(status);
  };
  process.on('SIGTERM', () => quit(terminatedStatus));
  process.on('SIGINT', () => {
    if (controller.signal.aborted) {
      quit(interruptedStatus);
    }
    controller.abort(new Interrupted());
    reporter.warn('Stopping after the work in flight. Ctrl-C once more quits at once.');
  });
  return controller.signal;
}
