/** How much more frequent something is among some rows than among all. */
export interface Enrichment {
  /** Its share of these rows. */
  readonly share: number;
  /** That share by its share of all rows, and the 95% interval. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  /** The probability that so many rows which are drawn at random have it so often or more, at most. */
  readonly chance: number;
}

/** What is more frequent among the rows of a latent is told of it if chance alone gives that, or as much of another thing, with a smaller probability. */
const chanceBelow = 0.05;
/** The normal distribution's quantile for an interval of 95%. */
const z = 1.959963984540054;

/** Whether something is more frequent among some rows than chance would make it. @param looked at, in all: of many things, some are by chance. */
export function isEnriched({ low, chance }: Enrichment, looked: number): boolean {
  return low > 1 && chance * looked < chanceBelow;
}

/**
 * How much more frequent something is among some rows than among all: the ratio of both shares, with the 95% interval that the score
 * interval of the first share gives (Wilson, 1927), the second being known; and what chance gives, by Chernoff's bound (Hoeffding, 1963, for
 * draws without putting back).
 * @param count of the rows that have it, of `of` rows. @param base its share of all rows, above 0.
 */
export function enrichment(count: number, of: number, base: number): Enrichment {
  const share = count / of;
  const middle = share + (z * z) / (2 * of);
  const half = z * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of));
  const scale = 1 + (z * z) / of;
  return {
    share,
    ratio: share / base,
    low: (middle - half) / scale / base,
    high: (middle + half) / scale / base,
    chance: share > base ? Math.exp(-of * divergence(share, base)) : 1,
  };
}

/** Of two distributions over yes and no, by their shares of yes (Kullback and Leibler). */
function divergence(share: number, base: number): number {
  const part = (a: number, b: number) => (a === 0 ? 0 : a * Math.log(a / b));
  return part(share, base) + part(1 - share, 1 - base);
}
