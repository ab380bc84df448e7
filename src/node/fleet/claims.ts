import type { Store } from '../store/store.js';
import { bytesOf, isFinal, readState, stateKey, type TrialState, unique } from './records.js';
import type { Deaths } from './sessions.js';

/** What is known of a trial that could not be taken. */
export type Untaken = 'final' | 'busy';

/** A trial that a worker has. All that it writes of its state is conditional on nobody else having taken it. */
export class Claim {
  #version: string;
  #state: TrialState;
  #lost = false;

  constructor(
    readonly store: Store,
    readonly trial: string,
    taken: { readonly state: TrialState; readonly version: string },
  ) {
    this.#state = taken.state;
    this.#version = taken.version;
  }

  get state(): TrialState {
    return this.#state;
  }

  /** Whether another worker has it by now. */
  get lost(): boolean {
    return this.#lost;
  }

  /** A key for a file of this claim, which no other one has. */
  key(file: string): string {
    return `trials/${this.trial}/${this.#state.claims}-${this.#state.worker}-${file}`;
  }

  /** Writes how far it is. @returns false if it is another worker's by now: then nothing was written. */
  async write(changed: Partial<TrialState>): Promise<boolean> {
    return this.replace({ ...this.#state, ...changed });
  }

  /** The same with all of the state. */
  async replace(given: TrialState): Promise<boolean> {
    if (this.#lost) return false;
    const state = { ...given, write: unique() };
    const version = await this.store.replace(stateKey(this.trial), bytesOf(state), this.#version);
    if (version === undefined) {
      this.#lost = true;
      return false;
    }
    this.#state = state;
    this.#version = version;
    return true;
  }
}

/** Takes a trial, unless it is final or a living worker has it. */
export async function take(
  store: Store,
  trial: string,
  worker: string,
  deaths: Deaths,
): Promise<Claim | Untaken> {
  for (;;) {
    const found = await readState(store, trial);
    if (!found) {
      const first = { state: 'running', write: unique(), worker, claims: 1, attempts: 1, steps: 0 } as const;
      const version = await store.create(stateKey(trial), bytesOf(first));
      if (version !== undefined) return new Claim(store, trial, { state: first, version });
      continue;
    }
    const { state } = found;
    if (isFinal(state)) return 'final';
    if (state.state === 'running' && state.worker !== worker && !(await deaths.isDead(state.worker)))
      return 'busy';
    const claim = new Claim(store, trial, found);
    const { claims, attempts } = state;
    if (await claim.write({ state: 'running', worker, claims: claims + 1, attempts: attempts + 1 }))
      return claim;
  }
}

/** Removes the files of a trial that its state does not name: those of earlier claims. */
export async function removeOthers(store: Store, trial: string): Promise<void> {
  const found = await readState(store, trial);
  if (!found) return;
  const { snapshot, result } = found.state;
  const named = new Set([snapshot, result?.model, result?.history]);
  for await (const key of store.list(`trials/${trial}/`)) {
    if (/\/\d+-w[^/]*$/.test(key) && !named.has(key)) await store.remove(key);
  }
}
