import { setTimeout as pause } from 'node:timers/promises';
import { randomPair, shuffle } from '../../sae/model/random.js';
import type { Store } from '../store/store.js';
import { removeOthers } from './claims.js';
import { isFinal, readState, type Sweep, unique } from './records.js';
import { type Deaths, usualLease } from './sessions.js';

/** Trials of a sweep that train side by side. */
export interface Group {
  readonly sweep: Sweep;
  /** Its place among the sweep's groups. */
  readonly index: number;
  readonly trials: readonly string[];
}

/** Groups in a row that others are at work on, after which a worker waits: such parts of a lease, and twice as long each time. */
const mostLooks = 16;
const patience = { first: 1 / 60, most: 1 / 4 };

const prefixOf = (sweep: string) => `ended/${sweep}/`;
const keyOf = (sweep: string, index: number) => `${prefixOf(sweep)}${index}`;
/** Keys that a bucket lists at once, and requests of a look at a group that has ended. */
const page = 1000;
const lookAtEnded = 2;

export function groupOf(sweep: Sweep, index: number): Group {
  return { sweep, index, trials: sweep.groups[index] };
}

/**
 * Hands out the groups of a sweep without a queue, by what the store says of their trials. Each worker looks at them in an order of its own, so
 * that it rarely finds what another one has just taken.
 */
export class StoreGroups {
  #order: number[];
  readonly #out = new Set<number>();
  #next = 0;
  /** Groups that had ended when it last asked for these, and those that it has come upon since then. */
  #ended = 0;
  #surprises = 0;
  /** Ends the waiting: there is one less to wait for. */
  #wake = new AbortController();

  /** @param lease milliseconds after which a silent worker counts as dead. @param only some of the groups, by their places. */
  constructor(
    readonly store: Store,
    readonly sweep: Sweep,
    readonly deaths: Deaths,
    readonly lease = usualLease,
    only?: readonly number[],
  ) {
    const all = only ?? sweep.groups.map((_, index) => index);
    const order = Uint32Array.from(all);
    shuffle(order, randomPair(Number.parseInt(unique().slice(0, 8), 16)).forOrder);
    this.#order = [...order];
  }

  /** The next group of which something is to be done. Undefined if nothing is left, or the signal ends the waiting. */
  async take(signal: AbortSignal): Promise<Group | undefined> {
    const { lease } = this;
    for (let part = patience.first; !signal.aborted; part = Math.min(2 * part, patience.most)) {
      for (let looks = 0; looks < mostLooks && looks < this.#order.length && !signal.aborted; ) {
        this.#next %= this.#order.length;
        // Before anything is waited for: another adapter of this process is to look at the next one.
        const index = this.#order[this.#next++];
        const what = this.#out.has(index) ? 'taken' : await this.#look(index);
        if (what === 'ended') {
          this.#drop(index);
          this.#surprises += 1;
          // Where there is one that it did not know of, there may be many. To ask for all costs as much as to come upon so many.
          if (this.#surprises * lookAtEnded >= this.#ended / page) await this.#readMarks();
          continue;
        }
        if (what === 'free') {
          this.#out.add(index);
          return groupOf(this.sweep, index);
        }
        looks += 1;
      }
      if (this.#order.length === 0) return undefined;
      const either = AbortSignal.any([signal, this.#wake.signal]);
      await pause(part * lease, undefined, { signal: either }).catch(() => {});
      if (this.#wake.signal.aborted) this.#wake = new AbortController();
      await this.#readMarks();
    }
    return undefined;
  }

  /** To be called when the work on a group has ended. @param over whether nothing is left to do of it. */
  async returned({ index }: Group, over: boolean): Promise<void> {
    this.#out.delete(index);
    if (over) {
      this.#drop(index);
      await markEnded(this.store, this.sweep.id, index);
    }
    this.#wake.abort();
  }

  #drop(index: number): void {
    const place = this.#order.indexOf(index);
    if (place < 0) return;
    this.#order.splice(place, 1);
    if (place < this.#next) this.#next -= 1;
  }

  /** What there is to do of a group: nothing, something, or nothing now since others are at work on it. */
  async #look(index: number): Promise<'ended' | 'free' | 'taken'> {
    const { store, sweep, deaths } = this;
    let free = false;
    for (const [i, trial] of sweep.groups[index].entries()) {
      const found = await readState(store, trial);
      if (found && isFinal(found.state)) {
        if (i === 0 && (await store.read(keyOf(sweep.id, index)))) return 'ended';
        continue;
      }
      free = !found || found.state.state === 'open' || (await deaths.isDead(found.state.worker));
      // Whoever has the first one that is left has the others as well. But of a contest nothing can be done before all of it is free.
      if (!free || sweep.halving === undefined) return free ? 'free' : 'taken';
    }
    if (free) return 'free';
    // Who ended the last one was killed before it had marked the group, or taken its other files away.
    for (const trial of sweep.groups[index]) await removeOthers(store, trial);
    await markEnded(store, sweep.id, index);
    return 'ended';
  }

  async #readMarks(): Promise<void> {
    const ended = await endedGroups(this.store, this.sweep.id);
    const isLeft = (index: number) => !ended.has(index);
    this.#next = this.#order.slice(0, this.#next).filter(isLeft).length;
    this.#order = this.#order.filter(isLeft);
    this.#ended = ended.size;
    this.#surprises = 0;
  }
}

/** Says that nothing is left to do of a group, so that others need not look at its trials. */
export async function markEnded(store: Store, sweep: string, index: number): Promise<void> {
  await store.create(keyOf(sweep, index), new TextEncoder().encode(unique()));
}

/** Takes that back: something of it is to be done again. */
export async function unmarkEnded(store: Store, sweep: string, index: number): Promise<void> {
  await store.remove(keyOf(sweep, index));
}

/** The groups of which nothing is left to do, by their places. */
export async function endedGroups(store: Store, sweep: string): Promise<Set<number>> {
  const ended = new Set<number>();
  for await (const key of store.list(prefixOf(sweep))) ended.add(Number(key.slice(prefixOf(sweep).length)));
  return ended;
}
