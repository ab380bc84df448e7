/** Exit status after Ctrl-C, as shells expect it: 128 + SIGINT. */
export const interruptedStatus = 130;

/** A signal that the first Ctrl-C aborts; the second ends the process at once. */
export function interruptible(onFirst: () => void, onSecond: () => void): AbortSignal {
  const controller = new AbortController();
  process.on('SIGINT', () => {
    if (controller.signal.aborted) {
      onSecond();
      process.exit(interruptedStatus);
    }
    controller.abort();
    onFirst();
  });
  return controller.signal;
}
