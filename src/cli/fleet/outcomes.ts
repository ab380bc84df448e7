import { tidy } from '../../node/fleet/claims.js';
import {
  readState,
  readTrial,
  type StoredTrial,
  type Sweep,
  type TrialState,
} from '../../node/fleet/records.js';
import { differences, trialInWords } from '../../node/index.js';
import type { Store } from '../../node/store/store.js';
import { short } from '../reporter.js';

/** A trial of a sweep, and how far it is. */
export interface TrialOutcome {
  readonly id: string;
  readonly trial: StoredTrial;
  /** In what it differs from others of the sweep, by the names of options. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Undefined before a worker has ever taken it. */
  readonly state: TrialState | undefined;
}

/** Reads so many records at once: a store far away answers each after a while. */
const atOnce = 32;

/** All trials of a sweep, in its order. */
export async function outcomesOf(store: Store, sweep: Sweep): Promise<TrialOutcome[]> {
  const ids = sweep.groups.flat();
  const read = new Array<{ trial: StoredTrial; state: TrialState | undefined }>(ids.length);
  let next = 0;
  const reader = async () => {
    for (let i = next++; i < ids.length; i = next++) {
      const [trial, found] = await Promise.all([readTrial(store, ids[i]), readState(store, ids[i])]);
      read[i] = { trial, state: found?.state };
    }
  };
  await Promise.all(Array.from({ length: atOnce }, reader));
  const options = differences(read.map(({ trial }) => trial));
  return ids.map((id, i) => ({ id, options: options[i], ...read[i] }));
}

/** Takes away what killed workers left of a sweep's trials, if they are final. */
export async function tidyAll(store: Store, sweep: Sweep): Promise<void> {
  await tidy(store, new Map((await outcomesOf(store, sweep)).map(({ id, state }) => [id, state])));
}

/** A trial and what it came to, in a line. */
export function outcomeInWords({ id, options, state }: TrialOutcome): string {
  const words = trialInWords(options);
  const name = words === '' ? id : `${id}  ${words}`;
  if (state?.failure !== undefined) return `${name}: ${state.failure}`;
  if (!state?.result) return `${name}: ${state?.state ?? 'open'}`;
  const { explained_variance, active, dead } = state.result.metrics;
  const ended = state.state === 'ended' ? `, ended after ${state.steps} steps` : '';
  return `${name}: R2 ${explained_variance.toFixed(4)}, L0 ${short(active)}, dead ${dead}${ended}`;
}
