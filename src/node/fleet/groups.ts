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

/** Milliseconds between two looks at groups that others are at work on. */
const patience = 2000;

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
  /** Groups in a row that others have, since the marks were read. */
  #inVain = 0;
  #marksRead = false;

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
    while (!signal.aborted) {
      if (!this.#marksRead || this.#inVain >= 32) await this.#readMarks();
      let waiting = false;
      for (let looks = this.#order.length; looks > 0 && this.#order.length > 0; looks--) {
        this.#next %= this.#order.length;
        const index = this.#order[this.#next];
        if (this.#out.has(index)) {
          this.#next += 1;
          continue;
        }
        const what = await this.#look(index);
        if (what === 'ended') {
          this.#order.splice(this.#next, 1);
          continue;
        }
        this.#next += 1;
        if (what === 'free') {
          this.#out.add(index);
          this.#inVain = 0;
          return groupOf(this.sweep, index);
        }
        waiting = true;
        this.#inVain += 1;
        if (signal.aborted) return undefined;
      }
      if (!waiting && this.#out.size === 0) return undefined;
      this.#marksRead = false;
      await pause(patience, undefined, { signal }).catch(() => {});
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
    this.#marksRead = true;
    this.#inVain = 0;
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
