import type { FleetRows } from '../../node/fleet/group-training.js';
import { type RowOptions, readSweep, type Sweep } from '../../node/fleet/records.js';
import type { TrialProgress } from '../../node/fleet/sessions.js';
import { Deaths } from '../../node/fleet/sessions.js';
import { type GroupEnd, trainGroup } from '../../node/fleet/train-group.js';
import {
  ConfigError,
  closePipes,
  EngineError,
  evenRows,
  fingerprint,
  type Gpu,
  type OpenOptions,
  openDatasets,
  openGpu,
  placementOf,
} from '../../node/index.js';
import { openStore, type Store } from '../../node/store/store.js';
import { checkAdapter } from '../checked.js';
import { Reporter } from '../reporter.js';
import { parseSaveEvery } from '../save-every.js';

// The process of one adapter. What may crash it, a driver or the compiler of a software adapter, takes the models along that it is at
// work on, and neither the sweep nor the worker.

/** What such a process is asked to do. */
export interface GroupJob {
  readonly store: string;
  readonly sweep: string;
  readonly trials: readonly string[];
  readonly worker: string;
  readonly opening: OpenOptions;
  /** Where this machine has the rows, if not where the sweep says. */
  readonly rows: RowOptions;
}

export type ToGroup = { readonly train: GroupJob } | { readonly stop: true };

export type FromGroup =
  | { readonly progress: Readonly<Record<string, TrialProgress>> }
  | { readonly line: string }
  | { readonly warn: string }
  | { readonly end: GroupEnd }
  | { readonly failure: string; readonly isUsage: boolean };

/** Rows of a sweep that a model is measured on, at most, if none are held out. */
const mostMeasured = 65_536;

/** Tells what a run on a terminal would print. */
class Relay extends Reporter {
  constructor() {
    super({ quiet: false, json: false });
  }

  override line(line = ''): void {
    send({ line });
  }

  override warn(warn: string): void {
    send({ warn });
  }

  override startBar(): void {}
}

function send(message: FromGroup): void {
  // Its end, after which this process ends as well, shows in an error of this first, which is nobody's without a function for it.
  process.send?.(message, undefined, undefined, () => {});
}

/** What stays between two groups. */
let gpu: Gpu | undefined;
let store: Store | undefined;
let loaded: { readonly of: string; readonly sweep: Sweep; readonly rows: FleetRows } | undefined;
let stopping = new AbortController();
/** What was seen of other workers: who is silent shows in time only. */
let deaths: Deaths | undefined;

async function train(job: GroupJob): Promise<GroupEnd> {
  const reporter = new Relay();
  stopping = new AbortController();
  store ??= await openStore(job.store);
  deaths ??= new Deaths(store);
  gpu ??= await openGpu(job.opening);
  await checkAdapter({ gpu, opening: job.opening, reporter });
  const of = `${job.store} ${job.sweep}`;
  if (loaded?.of !== of) {
    const sweep = await readSweep(store, job.sweep);
    loaded = { of, sweep, rows: await rowsOf(sweep, job.rows, gpu, reporter) };
  }
  const { sweep, rows } = loaded;
  return trainGroup({
    store,
    gpu,
    rows,
    worker: job.worker,
    deaths,
    trials: job.trials,
    save_every: parseSaveEvery(sweep.save_every),
    signal: stopping.signal,
    tell: throttled((progress) => send({ progress })),
    warn: (sentence) => reporter.warn(sentence),
  });
}

/** @throws DataError if they are not those of the sweep. */
async function rowsOf(sweep: Sweep, others: RowOptions, gpu: Gpu, reporter: Reporter): Promise<FleetRows> {
  const loading = { ...sweep.loading, ...others };
  const { train, validation } = await openDatasets({
    ...loading,
    onNote: (note) => reporter.warn(note),
  });
  const own = await fingerprint(train);
  const { rows, in_dims, fingerprint: wanted, name, window_rows } = sweep.rows;
  if (own !== wanted) {
    const what =
      train.rows !== rows || train.in_dims !== in_dims
        ? `${train.rows} of ${train.in_dims} values, and were ${rows} of ${in_dims}`
        : 'others, as their fingerprint shows';
    throw new ConfigError(
      `The rows of ${train.name} are not those of the sweep ${sweep.id}, which were called ${name}: they are ${what}. Give this worker the same rows with --data.`,
    );
  }
  const measured = validation ?? evenRows(train, mostMeasured);
  return {
    train,
    placement: window_rows === undefined ? {} : { window_rows },
    fingerprint: own,
    measured,
    measured_placement: placementOf(measured, gpu),
    held_out: validation !== undefined,
  };
}

/** Calls at most ten times a second. */
function throttled<T>(tell: (value: T) => void): (value: T) => void {
  let last = 0;
  return (value) => {
    const now = performance.now();
    if (now - last < 100) return;
    last = now;
    tell(value);
  };
}

process.on('message', (message: ToGroup) => {
  if ('stop' in message) {
    stopping.abort();
    return;
  }
  train(message.train)
    .then((end) => send({ end }))
    .catch((error: unknown) => {
      const isOurs = error instanceof EngineError;
      const failure = isOurs ? error.message : `Unexpected error: ${(error as Error).stack}`;
      send({ failure, isUsage: error instanceof ConfigError });
      // A device that is lost, and whatever else, is left behind with this process.
      closePipes();
      gpu?.close();
      process.disconnect();
    });
});
// Without its parent nobody renews what it has.
process.on('disconnect', () => process.exit());
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGXCPU'] as const) {
  // The terminal sends it to both. Its parent says when to stop.
  process.on(name, () => {});
}
