import { openAgain } from '../../node/fleet/claims.js';
import { endedGroups, unmarkEnded } from '../../node/fleet/groups.js';
import {
  isFinal,
  readState,
  readTrial,
  type StoredTrial,
  type Sweep,
  type TrialState,
} from '../../node/fleet/records.js';
import { namedOptions, trialInWords } from '../../node/index.js';
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

type Known = Pick<TrialOutcome, 'trial' | 'state'>;

/** What was read of each store: a trial never changes, nor does a state that is final, until somebody begins the sweep again. */
const known = new WeakMap<Store, Map<string, Known>>();

/** Trials of a sweep. @param ids some of them, by their names; by default all, in its order. */
export async function outcomesOf(
  store: Store,
  sweep: Sweep,
  ids: readonly string[] = sweep.groups.flat(),
): Promise<TrialOutcome[]> {
  const read = known.get(store) ?? new Map<string, Known>();
  known.set(store, read);
  const waiting = ids.values();
  const reader = async () => {
    for (const id of waiting) {
      const before = read.get(id);
      const [trial, state] = await Promise.all([
        before?.trial ?? readTrial(store, id),
        before?.state && isFinal(before.state) ? before.state : stateOf(store, id),
      ]);
      read.set(id, { trial, state });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, reader));
  return ids.map((id) => {
    const { trial, state } = read.get(id)!;
    return { id, trial, state, options: namedOptions(trial, sweep.differing) };
  });
}

/**
 * Opens trials again that failed and may pass now, and the groups of which there is something to do again.
 * @param trials as they were planned, which saves reading them. @returns how many trials, and the places of the groups.
 */
export async function reopen(
  store: Store,
  sweep: Sweep,
  trials: ReadonlyMap<string, StoredTrial>,
): Promise<{ trials: number; groups: number[] }> {
  known.set(store, new Map([...trials].map(([id, trial]) => [id, { trial, state: undefined }])));
  let opened = 0;
  const states = new Map((await outcomesOf(store, sweep)).map(({ id, state }) => [id, state]));
  for (const [id, state] of states) {
    if (!state?.may_pass || !(await openAgain(store, id))) continue;
    opened += 1;
    states.delete(id);
    known.get(store)!.delete(id);
  }
  const isLeft = (id: string) => {
    const state = states.get(id);
    return !state || !isFinal(state);
  };
  const groups = [...(await endedGroups(store, sweep.id))].filter((index) =>
    sweep.groups[index].some(isLeft),
  );
  for (const index of groups) await unmarkEnded(store, sweep.id, index);
  return { trials: opened, groups };
}

async function stateOf(store: Store, id: string): Promise<TrialState | undefined> {
  return (await readState(store, id))?.state;
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
