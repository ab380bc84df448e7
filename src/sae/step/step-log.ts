/** Bytes of `struct StepLog` in `metrics/step.wgsl`. */
export const logBytes = 32;

/** What was not finite in a step. */
export type Fault = 'loss' | 'gradient';

/** The metrics of one step, as sums. */
export interface StepFigures {
  /** Rows in its batch: the last one of a window may be short. */
  readonly rows: number;
  readonly mse: number;
  /** What a row's squared errors are divided by in the loss. */
  readonly divisor: number;
  /** The four unweighted terms of the kind of sparsity; those that it does not have are 0. */
  readonly terms: ArrayLike<number>;
  /** Active latents summed over the batch's rows. */
  readonly active: number;
  /** What was not finite, if anything. */
  readonly fault: Fault | undefined;
}

/** What the steps of one submit logged. */
export interface StepLog {
  readonly steps: readonly StepFigures[];
  /** For each latent, in how many rows of the pass so far it was active, if the submit ends a pass or the run. */
  readonly rowsActive: Uint32Array | undefined;
  /** A parameter with a moment that is not finite, if the submit ends with a check of the moments. */
  readonly overflow: string | undefined;
}

/** What follows the log's entries of a submit. */
export interface Appended {
  /** Number of latents, and the words of their counts of rows in which they were active; 0 unless it ends a pass or the run. */
  readonly latents: number;
  readonly latentWords: number;
  /** Names of parameters: one word for each says whether a moment is not finite. Empty if that was not checked. */
  readonly parameters: readonly string[];
}

/**
 * Parses the log's entries of some steps.
 * @param rows of each step's batch.
 */
export function parseLog(bytes: ArrayBuffer, rows: readonly number[], appended: Appended): StepLog {
  const floats = new Float32Array(bytes);
  const words = new Uint32Array(bytes);
  const stride = logBytes / 4;
  const steps = rows.map((count, i): StepFigures => {
    const at = i * stride;
    return {
      rows: count,
      terms: floats.subarray(at, at + 4),
      mse: floats[at + 4],
      divisor: floats[at + 7],
      active: words[at + 5],
      fault: ([undefined, 'loss', 'gradient'] as const)[words[at + 6]],
    };
  });
  const { latents, latentWords, parameters } = appended;
  const first = rows.length * stride;
  const overflows = words.subarray(first + latentWords);
  return {
    steps,
    rowsActive: latents > 0 ? words.subarray(first, first + latents) : undefined,
    overflow: parameters.find((_, i) => overflows[i] !== 0),
  };
}
