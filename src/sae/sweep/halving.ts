/** Stages of a contest: after how many epochs all but one in `factor` of the trials that are left end. */
export function stages(epochs: number, factor: number): number[] {
  const ends: number[] = [];
  for (let end = epochs / factor; end >= 1; end /= factor) ends.unshift(Math.floor(end));
  return [...new Set(ends)];
}

/** How many of so many trials come to a stage. @param before stages before it. */
export function entrants(trials: number, before: number, factor: number): number {
  return before === 0 ? trials : entrants(Math.max(1, Math.ceil(trials / factor)), before - 1, factor);
}

/**
 * Successive halving (Jamieson and Talwalkar, 2016): which of the trials that have come to a stage end there. One in `factor` of those that
 * entered it goes on, at least one; of trials that are as good as each other, the first.
 * @param losses by trial, NaN of one that has failed.
 * @param entered how many trials entered the stage, if some of them have ended before.
 */
export function hopeless(losses: readonly number[], factor: number, entered = losses.length): number[] {
  const order = losses
    .map((loss, i) => ({ loss: Number.isFinite(loss) ? loss : Number.POSITIVE_INFINITY, i }))
    .sort((a, b) => a.loss - b.loss || a.i - b.i);
  const kept = Math.max(1, Math.ceil(entered / factor));
  return order
    .slice(kept)
    .map(({ i }) => i)
    .sort((a, b) => a - b);
}
