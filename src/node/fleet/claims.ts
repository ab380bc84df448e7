import type { Store } from '../store/store.js';
import { bytesOf, isFinal, readState, stateKey, type TrialState, unique } from './records.js';
import { Deaths, workersIn } from './sessions.js';

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
    const state = { ...given, write: unique() };
    while (!this.#lost) {
      const version = await this.store.replace(stateKey(this.trial), bytesOf(state), this.#version);
      if (version !== undefined) {
        this.#state = state;
        this.#version = version;
        return true;
      }
      // A write of ours that failed may have been carried out after all.
      const found = await readState(this.store, this.trial);
      const isOurs = found?.state.worker === this.#state.worker && found.state.claims === this.#state.claims;
      if (!isOurs || isFinal(found.state) || found.version === this.#version) this.#lost = true;
      else this.#version = found.version;
    }
    return false;
  }

  /**
   * Removes files of this claim whose names could not be written, unless the state has them: a write that seemed to fail may have been
   * there for the worker that has the trial now.
   */
  async discard(keys: readonly string[]): Promise<void> {
    const named = namedIn((await readState(this.store, this.trial))?.state);
    for (const key of keys) if (!named.has(key)) await this.store.remove(key);
  }
}

/** The files that a state names. */
function namedIn(state: TrialState | undefined): ReadonlySet<string | undefined> {
  return new Set([state?.snapshot, state?.result?.model, state?.result?.history]);
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
    const { claims, attempts } = state;
    const ours = { worker, claims: claims + 1, attempts: attempts + 1, write: unique() };
    const taken = { ...state, ...ours, state: 'running' as const };
    const version = await store.replace(stateKey(trial), bytesOf(taken), found.version);
    if (version !== undefined) return new Claim(store, trial, { state: taken, version });
  }
}

/** Opens a trial again that failed and may pass the next time. @returns whether it did. */
export async function openAgain(store: Store, trial: string): Promise<boolean> {
  const found = await readState(store, trial);
  if (found?.state.state !== 'failed' || !found.state.may_pass) return false;
  const { failure: _, may_pass: __, ...others } = found.state;
  const open = { ...others, state: 'open', attempts: 0, write: unique() } as const;
  return (await store.replace(stateKey(trial), bytesOf(open), found.version)) !== undefined;
}

/** Files of claims, by their trials. */
const ofClaim = /^trials\/([^/]+)\/\d+-w[^/]*$/;

/** Removes the files of a final trial that its state does not name: those of earlier claims. */
export async function removeOthers(store: Store, trial: string): Promise<void> {
  for (const keys of (await claimFiles(store, `trials/${trial}/`)).values()) {
    await removeUnnamed(store, trial, keys);
  }
}

/**
 * Removes what workers have left that were killed while they took their own files away: such as no state of a final trial names, and their
 * records. No state is read of a trial that has a model, its metrics and nothing else.
 */
export async function tidy(store: Store): Promise<void> {
  for (const [trial, keys] of await claimFiles(store, 'trials/')) {
    if (!areResult(keys)) await removeUnnamed(store, trial, keys);
  }
  await buryDead(store);
}

/** Removes the records of workers that are dead. */
export async function buryDead(store: Store): Promise<void> {
  const deaths = new Deaths(store);
  for (const worker of (await workersIn(store)).keys()) await deaths.isDead(worker);
}

async function claimFiles(store: Store, prefix: string): Promise<Map<string, string[]>> {
  const files = new Map<string, string[]>();
  for await (const key of store.list(prefix)) {
    const trial = ofClaim.exec(key)?.[1];
    if (trial !== undefined) files.set(trial, [...(files.get(trial) ?? []), key]);
  }
  return files;
}

/** Whether files are those of one claim that came to its end. */
function areResult([metrics, model, ...others]: readonly string[]): boolean {
  return others.length === 0 && metrics.replace(/metrics\.jsonl$/, 'sae.safetensors') === model;
}

/** @param keys listed before its state is read: what comes later is of somebody who has the trial. */
async function removeUnnamed(store: Store, trial: string, keys: readonly string[]): Promise<void> {
  const state = (await readState(store, trial))?.state;
  if (!state || !isFinal(state)) return;
  const named = namedIn(state);
  for (const key of keys) if (!named.has(key)) await store.remove(key);
}
