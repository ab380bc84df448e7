/** Longer than a poll takes, shorter than anybody notices. */
const nap = 1;
const nothing = new Int32Array(new SharedArrayBuffer(4));
let waiting = 0;

/**
 * Waits for a promise of Dawn's, asleep. While anything is pending, Dawn asks the driver in every turn of the event loop
 * whether it is done, and so keeps a core busy, which a software adapter could use: the default step then takes a tenth
 * to a third longer on two cores.
 */
export async function patiently<T>(promise: Promise<T>): Promise<T> {
  waiting += 1;
  if (waiting === 1) {
    setImmediate(sleep);
  }
  try {
    return await promise;
  } finally {
    waiting -= 1;
  }
}

function sleep(): void {
  if (waiting > 0) {
    Atomics.wait(nothing, 0, 0, nap);
    setImmediate(sleep);
  }
}
