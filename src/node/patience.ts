/** Longer than a poll takes, shorter than anybody notices. */
const nap = 1;
const nothing = new Int32Array(new SharedArrayBuffer(4));
let waiting = 0;
/** Whether `sleep` will be called. */
let planned = false;

/**
 * Waits for a promise of Dawn's, asleep. While anything is pending, Dawn asks the driver in every turn of the event loop
 * whether it is done, and so keeps a core busy, which a software adapter could use: the default step then takes a tenth
 * to a third longer on two cores.
 */
export async function patiently<T>(promise: Promise<T>): Promise<T> {
  waiting += 1;
  plan();
  try {
    return await promise;
  } finally {
    waiting -= 1;
  }
}

/** Once a turn of the event loop, however many wait. */
function plan(): void {
  if (waiting > 0 && !planned) {
    planned = true;
    setImmediate(sleep);
  }
}

function sleep(): void {
  planned = false;
  if (waiting > 0) {
    Atomics.wait(nothing, 0, 0, nap);
  }
  plan();
}
