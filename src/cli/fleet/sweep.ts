import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import { tidy } from '../../node/fleet/claims.js';
import { endedGroups } from '../../node/fleet/groups.js';
import { type Sweep, writeSweep } from '../../node/fleet/records.js';
import {
  ConfigError,
  checkFile,
  closePipes,
  differing,
  EngineError,
  type OpenOptions,
  parseSweep,
  trialCount,
} from '../../node/index.js';
import type { Queue } from '../../node/queue/queue.js';
import { slurmScript } from '../../node/slurm.js';
import { probeStore } from '../../node/store/probe.js';
import { openStore, type Store } from '../../node/store/store.js';
import { writeWhole } from '../../node/write-file.js';
import { valuesOf } from '../arguments.js';
import { interruptible } from '../interrupt.js';
import * as options from '../options.js';
import { count, Reporter, type ReporterOptions } from '../reporter.js';
import { parseSaveEvery } from '../save-every.js';
import { estimate, stepsOf } from './estimate.js';
import { outcomesOf, reopen } from './outcomes.js';
import { type PlanValues, planSweep, type SweepPlan, triedOf } from './plan-sweep.js';
import { prepareSweepResults, type SweepResultValues, writeSweepResults } from './results.js';
import { printStatus, sweepOf, tellFinal, watchSweep } from './status.js';
import { valuesWithFile } from './sweep-file.js';
import {
  adaptersOption,
  addAll,
  fleetGroup,
  followGroup,
  placeGroup,
  sweepGroup,
  triedOptions,
} from './sweep-options.js';
import { adaptersOf, groupsInStore, queueOf, work } from './work.js';

interface SweepValues extends ReporterOptions, PlanValues, SweepResultValues {
  readonly config?: string;
  readonly dry_run: boolean;
  readonly yes: boolean;
  readonly store?: string;
  readonly on?: string;
  readonly slurm?: string;
  readonly sbatch?: readonly string[];
  readonly at_once?: number;
  readonly priority?: number;
  readonly adapters?: string;
  readonly sweep?: string;
  readonly status: boolean;
  readonly watch: boolean;
  readonly pause: boolean;
  readonly resume: boolean;
  readonly tune: string;
}

/** Trials for which nobody is asked. */
const mostUnasked = 1000;

const examples = `
Examples:
  Twelve models, side by side on one reading of the rows:
    $ sae sweep --dataset words-10k --sparsity topk --k 4,8,16 --h-dims "[512],[1024]" --seeds 2
  Learning rates from a range, and only the better half of them to the end:
    $ sae sweep --data rows.npy --sparsity batchtopk --lr 1e-4..1e-2:5:log --halving 2
  How far it is, while it goes on elsewhere:
    $ sae sweep --store s3://bucket/sweeps --status

Values are lists (4,8,16), ranges of numbers with how many (1e-4..1e-2:5, and :log for equal
ratios), or with --random ranges alone (1e-4..1e-2:log). Given again, the command goes on where it was.`;

/** `sae sweep`. */
export function sweepCommand(): Command {
  const command = new Command('sweep')
    .description('train many autoencoders, on one machine or many, and compare them')
    .addHelpText('after', examples);
  addAll(command, [
    ...triedOptions,
    ...sweepGroup,
    ...placeGroup,
    ...fleetGroup,
    adaptersOption,
    ...followGroup,
    ...options.runGroup.filter((option) => option.name() !== 'adapter'),
  ]);
  return command.action(async () => {
    const { values, given } = await valuesWithFile(command, valuesOf<SweepValues>(command));
    await sweep(values, given);
  });
}

async function sweep(values: SweepValues, given: ReadonlySet<string>): Promise<void> {
  const reporter = new Reporter(values);
  parseSaveEvery(values.save_every);
  const signal = interruptible(reporter, 'steps');
  const tried = triedOf(values, given);
  const storeName = values.store ?? join(values.files_dir, 'sweep');
  const queue = values.on === undefined ? undefined : await queueOf(values.on, reporter);
  let store: Store | undefined;
  try {
    if (values.pause || values.resume) {
      await pauseOrResume(queue, values, reporter);
      return;
    }
    if (values.status || (values.watch && Object.keys(tried).length === 0)) {
      store = await openStore(storeName, { signal });
      const followed = await sweepOf(store, values.sweep);
      if (values.watch) await watchSweep(store, followed, reporter, signal);
      await printStatus(store, followed, reporter);
      return;
    }
    const settings = parseSweep(tried);
    if (values.slurm !== undefined && queue) {
      throw new ConfigError('Both on and slurm say who hands out the trials. Leave one out.');
    }
    if (values.slurm !== undefined) await checkFile(values.slurm, isOurScript);
    await confirm(trialCount(settings), values.yes);
    await prepareSweepResults(values);
    const opening = await options.openOptions(values);
    const adapters = await adaptersOf(values.adapters);
    const plan = await planSweep(
      settings,
      values,
      queue || values.slurm !== undefined ? 1 : adapters.length,
      reporter,
      signal,
    );
    signal.throwIfAborted();
    if (values.dry_run) {
      await estimate(plan, { ...opening, adapter: adapters[0] }, adapters.length, reporter);
      return;
    }
    const storeOf = await openStore(storeName, { signal });
    store = storeOf;
    await probeStore(store);
    const { rows, loading, groups, trials } = plan;
    const { save_every } = values;
    const { halving } = settings;
    const command = process.argv.slice(2);
    const record = {
      command,
      rows,
      loading,
      save_every,
      groups,
      differing: differing([...trials.values()]),
      ...(halving && { halving }),
    };
    const own = await writeSweep(store, record, trials);
    reporter.line(
      `sweep     ${own.id}: ${count(trials.size)} trials in ${count(groups.length)} groups, in ${store.name}`,
    );
    reporter.json({ sweep: own.id, trials: trials.size, groups: groups.length, store: store.name });
    const again = await reopen(store, own, trials);
    if (again.trials > 0) {
      reporter.line(`again     ${count(again.trials)} trials that failed are tried again`);
      reporter.json({ again: again.trials });
    }
    if (values.slurm !== undefined) {
      await writeScript(values.slurm, store, own, values, reporter);
      if (!values.watch) return;
      await watchSweep(store, own, reporter, signal);
    } else if (queue) {
      await queue.forget(again.groups.map((group) => jobOf(own, group)));
      await enqueue(queue, store, own, values.priority);
      reporter.line(
        `queue     ${queue.name}; sae worker --on takes them, and --watch shows how far they are`,
      );
      if (!values.watch) return;
      await watchSweep(store, own, reporter, signal, () => refill(queue, storeOf, own, values.priority));
    } else {
      await trainAll(store, own, plan, { adapters, opening }, signal, reporter);
    }
    signal.throwIfAborted();
    await finish(store, own, plan, values, { ...opening, adapter: adapters[0] }, reporter);
  } finally {
    closePipes();
    reporter.stopBar();
    await queue?.close();
    store?.close();
  }
}

/** @throws ConfigError unless that many trials are meant. */
async function confirm(trials: number, yes: boolean): Promise<void> {
  if (trials <= mostUnasked || yes) return;
  const many = `The sweep has ${count(trials)} trials`;
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new ConfigError(`${many}. If that is meant, add --yes; --random draws some of them.`);
  }
  const asking = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await asking.question(`${many}. Train all of them? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new ConfigError(`${many}, and nothing was begun.`);
  } finally {
    asking.close();
  }
}

async function pauseOrResume(
  queue: Queue | undefined,
  { pause, resume }: Pick<SweepValues, 'pause' | 'resume'>,
  reporter: Reporter,
): Promise<void> {
  if (!queue) throw new ConfigError(`${pause ? 'pause' : 'resume'} is of a queue. Name it with --on.`);
  if (pause && resume) throw new ConfigError('Both pause and resume are set. Leave one out.');
  await (pause ? queue.pause() : queue.resume());
  const { waiting, active, failed } = await queue.state();
  reporter.json({ queue: queue.name, paused: pause, waiting, active, failed });
  reporter.line(
    `queue     ${queue.name} ${pause ? 'hands out nothing' : 'hands out again'}: ${count(waiting)} groups wait, ${count(active)} are at work`,
  );
}

const jobOf = (sweep: Sweep, group: number) => `${sweep.id}-${group}`;

/** Adds the groups that are not ended to the queue. */
async function enqueue(queue: Queue, store: Store, sweep: Sweep, priority = 0): Promise<void> {
  const ended = await endedGroups(store, sweep.id);
  const jobs = sweep.groups
    .map((_, group) => ({ id: jobOf(sweep, group), data: { store: store.name, sweep: sweep.id, group } }))
    .filter(({ data: { group } }) => !ended.has(group));
  await queue.add(jobs, { priority });
}

/** Adds the groups again, if a queue has forgotten them: it may have been emptied, and the store is the truth. */
async function refill(queue: Queue, store: Store, sweep: Sweep, priority?: number): Promise<void> {
  const { waiting, active } = await queue.state();
  if (waiting + active === 0) await enqueue(queue, store, sweep, priority);
}

/** Writes the batch script of a sweep. */
async function writeScript(
  file: string,
  store: Store,
  sweep: Sweep,
  { sbatch, at_once }: Pick<SweepValues, 'sbatch' | 'at_once'>,
  reporter: Reporter,
): Promise<void> {
  const script = slurmScript({
    store: store.name,
    sweep: sweep.id,
    groups: sweep.groups.length,
    // The same installation: a cluster's machines share it.
    command: process.argv.slice(0, 2),
    ...(at_once !== undefined && { atOnce: at_once }),
    ...(sbatch && { directives: sbatch }),
  });
  await writeWhole(file, [new TextEncoder().encode(script)], (why, cause) => {
    return new EngineError(`${file} cannot be written: ${why}.`, { cause });
  });
  reporter.line(`slurm     ${file}; sbatch ${file} begins it, and --status shows how far it is`);
  reporter.json({ slurm: file });
}

/** Whether this program wrote a script that begins so. */
function isOurScript(content: Uint8Array): boolean {
  return new TextDecoder().decode(content).startsWith('#!/bin/bash\n#SBATCH --job-name=s');
}

/** Trains all that is left on this machine. */
async function trainAll(
  store: Store,
  sweep: Sweep,
  plan: SweepPlan,
  {
    adapters,
    opening,
  }: { readonly adapters: readonly (string | undefined)[]; readonly opening: OpenOptions },
  signal: AbortSignal,
  reporter: Reporter,
): Promise<void> {
  const steps = new Map([...plan.trials].map(([id, trial]) => [id, { done: 0, of: stepsOf(trial) }]));
  const all = [...steps.values()].reduce((sum, { of }) => sum + of, 0);
  const told = new Set<string>();
  const tell = async (trials?: readonly string[]) => {
    for (const outcome of await outcomesOf(store, sweep, trials)) {
      tellFinal(outcome, told, reporter);
      const own = steps.get(outcome.id);
      if (own && told.has(outcome.id)) own.done = own.of;
    }
  };
  const label = () => `${count(told.size)} of ${count(steps.size)} trials`;
  const doneSteps = () => [...steps.values()].reduce((sum, { done }) => sum + done, 0);
  await tell();
  reporter.startBar(all, label());
  const before = doneSteps();
  const began = performance.now();
  try {
    await work({
      source: groupsInStore(store, sweep),
      adapters,
      opening,
      rows: {},
      signal,
      reporter,
      events: {
        progress: (progress) => {
          for (const [id, own] of Object.entries(progress)) {
            const known = steps.get(id);
            if (known) known.done = own.steps;
          }
          const done = doneSteps();
          const rate = (1000 * (done - before)) / (performance.now() - began);
          reporter.updateBar(done, label(), `${count(rate)} steps/s`);
        },
        ended: ({ group }) => tell(group.trials),
      },
    });
  } finally {
    reporter.stopBar();
  }
}

/** The results, and a failure if a trial failed. */
async function finish(
  store: Store,
  sweep: Sweep,
  { loaded }: SweepPlan,
  values: SweepResultValues,
  opening: OpenOptions,
  reporter: Reporter,
): Promise<void> {
  await tidy(store);
  await writeSweepResults(store, sweep, loaded.validation ?? loaded.train, values, opening, reporter);
  const states = (await outcomesOf(store, sweep)).map(({ state }) => state);
  const failed = states.filter((state) => state?.state === 'failed');
  if (failed.length > 0) {
    const again = failed.some((state) => state?.may_pass)
      ? ' The same command tries again what may pass.'
      : '';
    throw new EngineError(
      `${count(failed.length)} of ${count(states.length)} trials failed; the first one: ${failed[0]?.failure}${again}`,
    );
  }
}
