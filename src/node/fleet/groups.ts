import { setTimeout as pause } from 'node:timers/promises';
import { randomPair, shuffle } from '../../sae/model/random.js';
import type { Store } from '../store/store.js';
import { isFinal, readState, type Sweep, unique } from './records.js';
import type { Deaths } from './sessions.js';

/** Trials of a sweep that train side by side. */
export interface Group {
  readonly sweep: Sweep;
  /** Its place among the sweep's groups. */
  readonly index: number;
  readonly trials: readonly string[];
}

/** Groups in a row that others are at work on, after which a worker waits: so many milliseconds, and twice as many each time. */
const mostLooks = 16;
const patience = { first: 1000, most: 8000 };

const prefixOf = (sweep: string) => `ended/${sweep}/`;

export function groupOf(sweep: Sweep, index: number): Group {
  return { sweep, index, trials: sweep.groups[index] };
}

/**
 * Hands out the groups of a sweep without a queue, by what the store says of their trials. Each worker looks at them in an order of its own, so
 * that it rarely finds what another one has just taken.
 */
export class StoreGroups {
  readonly #order: number[];
  readonly #out = new Set<number>();
  #next = 0;
  /** @param only some of the groups, by their places. */
  constructor(
    readonly store: Store,
    readonly sweep: Sweep,
    readonly deaths: Deaths,
    only?: readonly number[],
  ) {
    const all = only ?? sweep.groups.map((_, index) => index);
    const order = Uint32Array.from(all);
    shuffle(order, randomPair(Number.parseInt(unique().slice(0, 8), 16)).forOrder);
    this.#order = [...order];
  }

  /** The next group of which something is to be done. Undefined if nothing is left, or the signal ends the waiting. */
  async take(signal: AbortSignal): Promise<Group | undefined> {
    for (let wait = patience.first; !signal.aborted; wait = Math.min(2 * wait, patience.most)) {
      for (let looks = 0; looks < mostLooks && looks < this.#order.length && !signal.aborted; ) {
        this.#next %= this.#order.length;
        const index = this.#order[this.#next];
        const what = this.#out.has(index) ? 'taken' : await this.#look(index);
        if (what === 'ended') {
          this.#order.splice(this.#next, 1);
          // Where there is one that it did not know of, there may be many.
          await this.#readMarks();
          continue;
        }
        this.#next += 1;
        if (what === 'free') {
          this.#out.add(index);
          return groupOf(this.sweep, index);
        }
        looks += 1;
      }
      if (this.#order.length === 0) return undefined;
      await pause(wait, undefined, { signal }).catch(() => {});
      await this.#readMarks();
    }
    return undefined;
  }

  /** To be called when the work on a group has ended, however it did. */
  returned({ index }: Group): void {
    this.#out.delete(index);
  }

  /** What there is to do of a group: nothing, something, or nothing now since others are at work on it. */
  async #look(index: number): Promise<'ended' | 'free' | 'taken'> {
    let free = false;
    for (const trial of this.sweep.groups[index]) {
      const found = await readState(this.store, trial);
      if (found && isFinal(found.state)) continue;
      free = !found || found.state.state === 'open' || (await this.deaths.isDead(found.state.worker));
      // Whoever has the first one that is left has the others as well. But of a contest nothing can be done before all of it is free.
      if (!free || this.sweep.halving === undefined) return free ? 'free' : 'taken';
    }
    if (free) return 'free';
    await markEnded(this.store, this.sweep.id, index);
    return 'ended';
  }

  async #readMarks(): Promise<void> {
    const ended = await endedGroups(this.store, this.sweep.id);
    const left = this.#order.filter((index) => !ended.has(index));
    this.#order.splice(0, this.#order.length, ...left);
  }
}

/** Says that nothing is left to do of a group, so that others need not look at its trials. */
export async function markEnded(store: Store, sweep: string, index: number): Promise<void> {
  await store.create(`${prefixOf(sweep)}${index}`, new TextEncoder().encode(unique()));
}

export async function endedGroups(store: Store, sweep: string): Promise<Set<number>> {
  const ended = new Set<number>();
  for await (const key of store.list(prefixOf(sweep))) ended.add(Number(key.slice(prefixOf(sweep).length)));
  return ended;
}
