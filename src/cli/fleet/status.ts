import { setTimeout as pause } from 'node:timers/promises';
import { isFinal, readSweep, type Sweep, sweepsIn } from '../../node/fleet/records.js';
import { workersIn } from '../../node/fleet/sessions.js';
import { ConfigError, DataError } from '../../node/index.js';
import type { Store } from '../../node/store/store.js';
import { count, type Reporter } from '../reporter.js';
import { outcomeInWords, outcomesOf, type TrialOutcome } from './outcomes.js';

/** Milliseconds between two looks. */
const interval = 2000;

/** The sweep of that name, or the only one. @throws ConfigError if it has to be named. */
export async function sweepOf(store: Store, id: string | undefined): Promise<Sweep> {
  if (id !== undefined) return readSweep(store, id);
  const all = await sweepsIn(store);
  if (all.length === 0) throw new DataError(`There is no sweep in the store ${store.name}.`);
  if (all.length > 1) {
    const named = all.map((one) => `${one.id} (${one.date}, ${count(one.groups.flat().length)} trials)`);
    throw new ConfigError(
      `There are several sweeps in the store ${store.name}: ${named.join(', ')}. Name one with --sweep.`,
    );
  }
  return all[0];
}

const states = ['open', 'running', 'done', 'ended', 'failed'] as const;

/** Prints how far a sweep is: its trials, and the workers of its store. */
export async function printStatus(store: Store, sweep: Sweep, reporter: Reporter): Promise<void> {
  const outcomes = await outcomesOf(store, sweep);
  const workers = await workersIn(store);
  const numbers = countStates(outcomes);
  reporter.json({
    sweep: sweep.id,
    trials: outcomes.length,
    ...numbers,
    workers: [...workers].map(([id, { host, adapter, began, progress }]) => ({
      id,
      host,
      adapter,
      began,
      progress,
    })),
  });
  const words = states
    .filter((state) => numbers[state] > 0)
    .map((state) => `${count(numbers[state])} ${state}`);
  reporter.line(
    `sweep     ${sweep.id}, begun ${sweep.date}: ${count(outcomes.length)} trials, ${words.join(', ')}`,
  );
  for (const [id, { host, adapter, progress }] of workers) {
    reporter.line(`worker    ${id} on ${host}, ${adapter}`);
    for (const [trial, { steps, of, explained_variance, active }] of Object.entries(progress)) {
      const figures =
        active === undefined ? '' : `, R2 ${explained_variance?.toFixed(4)}, L0 ${active.toFixed(1)}`;
      reporter.line(`  ${trial}  step ${count(steps)} of ${count(of)}${figures}`);
    }
  }
  for (const outcome of outcomes) {
    if (outcome.state?.state === 'failed') reporter.line(`failed    ${outcomeInWords(outcome)}`);
  }
}

function countStates(outcomes: readonly TrialOutcome[]): Record<(typeof states)[number], number> {
  const numbers = { open: 0, running: 0, done: 0, ended: 0, failed: 0 };
  for (const { state } of outcomes) numbers[state?.state ?? 'open'] += 1;
  return numbers;
}

/** Prints each trial when it is final, until all are. @param meanwhile is done at every look. */
export async function watchSweep(
  store: Store,
  sweep: Sweep,
  reporter: Reporter,
  signal: AbortSignal,
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  const told = new Set<string>();
  const all = sweep.groups.flat().length;
  reporter.startBar(all, 'trials');
  try {
    while (!signal.aborted) {
      const outcomes = await outcomesOf(store, sweep);
      for (const outcome of outcomes) tellFinal(outcome, told, reporter);
      reporter.updateBar(told.size, 'trials', `${countStates(outcomes).running} at work`);
      if (told.size === all) return;
      await meanwhile();
      await pause(interval, undefined, { signal }).catch(() => {});
    }
  } finally {
    reporter.stopBar();
  }
}

/** Prints what a trial came to, once, if it is final. @param told those that were printed. */
export function tellFinal(outcome: TrialOutcome, told: Set<string>, reporter: Reporter): void {
  const { id, state, options } = outcome;
  if (!state || !isFinal(state) || told.has(id)) return;
  told.add(id);
  const { failure, result } = state;
  reporter.json({
    trial: id,
    state: state.state,
    options,
    ...(failure && { failure }),
    ...(result && { result }),
  });
  reporter.line(outcomeInWords(outcome));
}
