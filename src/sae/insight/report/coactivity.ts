import { endTurn } from '../../turn.js';
import { largest } from '../largest.js';
import { neighboursOfLatent, none } from './layout.js';

/** Rows that are looked at, at most, and at least where they have more pairs of active latents than the limit. */
const [mostRows, leastRows] = [65_536, 128];
/** Pairs of active latents in these rows. */
const mostPairs = 3e8;
/** Pairs that are counted before anything else may happen. */
const pairsAtATime = 1e7;

/** What each latent is active with, on a sample of rows that is spread evenly over the data. */
export class Coactivity {
  /** The latents that are active for each sampled row. */
  readonly #lists: Uint32Array[] = [];
  readonly #chosen: number;

  /** @param l0 latents that are active for a row, in the mean. */
  constructor(
    readonly rows: number,
    readonly hidden: number,
    l0: number,
  ) {
    this.#chosen = Math.min(rows, mostRows, Math.max(leastRows, Math.floor(mostPairs / (1 + l0 * l0))));
  }

  /** Adds a row, if it is in the sample. @param latents that are active for it. */
  add(row: number, latents: readonly number[]): void {
    const place = (of: number) => Math.floor((of * this.#chosen) / this.rows);
    if (place(row + 1) > place(row)) this.#lists.push(Uint32Array.from(latents));
  }

  /**
   * Of each latent the others that it is most often active with, by the Jaccard index: rows for which both are active by those for which
   * either is. @throws the signal's reason.
   */
  async neighbours(signal?: AbortSignal): Promise<Coactive> {
    const { hidden } = this;
    const rowsOf = byLatent(this.#lists, hidden);
    const places = hidden * neighboursOfLatent;
    const found = {
      latents: new Uint32Array(places).fill(none),
      jaccard: new Float32Array(places),
      share: new Float32Array(places),
    };
    const both = new Uint32Array(hidden);
    let pairs = 0;
    for (let latent = 0; latent < hidden; latent++) {
      const own = rowsOf[latent];
      const touched: number[] = [];
      for (const row of own) {
        const list = this.#lists[row];
        pairs += list.length;
        for (const other of list) {
          if (both[other] === 0) touched.push(other);
          both[other] += 1;
        }
      }
      const others = Uint32Array.from(touched)
        .filter((other) => other !== latent)
        .sort();
      const jaccard = Float64Array.from(others, (other) => {
        return both[other] / (own.length + rowsOf[other].length - both[other]);
      });
      for (const [i, place] of largest(jaccard, neighboursOfLatent).entries()) {
        const at = latent * neighboursOfLatent + i;
        found.latents[at] = others[place];
        found.jaccard[at] = jaccard[place];
        found.share[at] = both[others[place]] / own.length;
      }
      for (const other of touched) both[other] = 0;
      if (pairs < pairsAtATime) continue;
      pairs = 0;
      signal?.throwIfAborted();
      await endTurn();
    }
    return found;
  }
}

/** [hidden, neighboursOfLatent] each; `latents` has `none` where there are no more. */
export interface Coactive {
  readonly latents: Uint32Array<ArrayBuffer>;
  readonly jaccard: Float32Array<ArrayBuffer>;
  /** Of the sampled rows that the latent is active for, the share in which the other is. */
  readonly share: Float32Array<ArrayBuffer>;
}

/** The rows that each latent is active for. */
function byLatent(lists: readonly Uint32Array[], hidden: number): Uint32Array[] {
  const counts = new Uint32Array(hidden);
  for (const list of lists) for (const latent of list) counts[latent] += 1;
  const rows = Array.from(counts, (count) => new Uint32Array(count));
  counts.fill(0);
  for (const [row, list] of lists.entries()) {
    for (const latent of list) rows[latent][counts[latent]++] = row;
  }
  return rows;
}
