/** Bytes of a step's log entry: `struct StepMetrics` in `step_metrics.wgsl`. */
export const logBytes = 16;

/** What steps of a pass left in the log. Steps count from 0. */
export interface StepLog {
  /** The steps of one submit, from `first` up to, not including, `end`. The pass's last log has all from 0 on. */
  readonly first: number;
  readonly end: number;
  readonly mse: (step: number) => number;
  readonly kl: (step: number) => number;
  /** Active units summed over the batch's rows. */
  readonly active: (step: number) => number;
  readonly finite: (step: number) => boolean;
  /** Hidden units that were active in no row of the pass; in its last log. */
  readonly dead?: number;
}

/**
 * Reads the entries from step `from` up to `end`, and, where the pass has ended, the `hidden` counts of rows that each
 * unit was active in, which follow them.
 */
export function parseLog(
  bytes: ArrayBuffer,
  { first, end, from, hidden }: { first: number; end: number; from: number; hidden: number | undefined },
): StepLog {
  const floats = new Float32Array(bytes);
  const words = new Uint32Array(bytes);
  const at = (step: number) => ((step - from) * logBytes) / 4;
  const entries = {
    first,
    end,
    mse: (step: number) => floats[at(step)],
    kl: (step: number) => floats[at(step) + 1],
    active: (step: number) => words[at(step) + 2],
    finite: (step: number) => words[at(step) + 3] === 1,
  };
  if (hidden === undefined) {
    return entries;
  }
  const active = words.subarray(at(end), at(end) + hidden);
  return { ...entries, dead: active.reduce((sum, rows) => sum + (rows === 0 ? 1 : 0), 0) };
}
