/** What a model explains, by how many latents. */
export interface Explaining {
  /** L0. */
  readonly active: number;
  readonly explained_variance: number;
}

/** L0 of models counts as the same where it is so to this many digits: one that is 16 for most rows and 15 for a few is none of its own. */
const digits = 3;

/** Which models no other one surpasses: none explains as much with fewer latents, or more with as many. By L0, from low to high. */
export function paretoFront<T extends Explaining>(models: readonly T[]): T[] {
  const finite = models.filter(({ active, explained_variance }) =>
    Number.isFinite(active + explained_variance),
  );
  const front: T[] = [];
  const l0 = ({ active }: T) => Number(active.toPrecision(digits));
  for (const model of [...finite].sort(
    (a, b) => l0(a) - l0(b) || b.explained_variance - a.explained_variance,
  )) {
    const best = front.at(-1);
    if (!best || model.explained_variance > best.explained_variance) front.push(model);
  }
  return front;
}
