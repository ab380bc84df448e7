/** Stages of a contest: after how many epochs all but one in `factor` of the trials that are left end. */
export function stages(epochs: number, factor: number): number[] {
  const ends: number[] = [];
  for (let end = epochs / factor; end >= 1; end /= factor) ends.unshift(Math.floor(end));
  return [...new Set(ends)];
}

/**
 * Successive halving (Jamieson and Talwalkar, 2016): which of the trials that have come to a stage end there. One in `factor` goes on,
 * at least one; of trials that are as good as each other, the first.
 * @param losses by trial, NaN of one that has failed.
 */
export function hopeless(losses: readonly number[], factor: number): number[] {
  const order = losses
    .map((loss, i) => ({ loss: Number.isFinite(loss) ? loss : Number.POSITIVE_INFINITY, i }))
    .sort((a, b) => a.loss - b.loss || a.i - b.i);
  const kept = Math.max(1, Math.ceil(losses.length / factor));
  return order
    .slice(kept)
    .map(({ i }) => i)
    .sort((a, b) => a - b);
}
