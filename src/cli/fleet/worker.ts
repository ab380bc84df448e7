import { constants } from 'node:os';
import { Command, Option } from 'commander';
import { buryDead } from '../../node/fleet/claims.js';
import type { RowOptions } from '../../node/fleet/records.js';
import { ConfigError, closePipes, type OpenOptions } from '../../node/index.js';
import { goesOnLater } from '../../node/slurm.js';
import { probeStore } from '../../node/store/probe.js';
import { openStore, type Store } from '../../node/store/store.js';
import { valuesOf } from '../arguments.js';
import { Interrupted, interruptible } from '../interrupt.js';
import * as options from '../options.js';
import { count, Reporter, type ReporterOptions } from '../reporter.js';
import { outcomesOf } from './outcomes.js';
import { sweepOf, tellFinal } from './status.js';
import { adaptersOption, addAll } from './sweep-options.js';
import { adaptersOf, type GroupSource, groupsInQueue, groupsInStore, queueOf, work } from './work.js';

interface WorkerValues extends ReporterOptions {
  readonly store?: string;
  readonly on?: string;
  readonly sweep?: string;
  readonly group?: readonly number[];
  readonly adapters?: string;
  readonly data?: readonly string[];
  readonly validation?: readonly string[];
  readonly labels?: string;
  readonly tune: string;
}

/** `sae worker`. */
export function workerCommand(): Command {
  const command = new Command('worker').description(
    'train what a sweep of another machine hands out, by its store or by a queue',
  );
  addAll(command, [
    new Option('--store <where>', 'the store of the sweep: a folder, or s3://BUCKET/PREFIX'),
    new Option('--on <queue>', 'the queue that hands out the trials, redis://HOST; they name their store'),
    new Option('--sweep <id>', 'the sweep of the store, if it has several'),
    new Option(
      '--group <n>',
      'only these of its groups, such as 3 or 0-7, as tasks of a batch system take them',
    ).argParser(parseGroups),
    adaptersOption,
    options.dataOption(),
    options.validationOption,
    options.labelsOption,
    ...options.runGroup.filter((option) => option.name() !== 'adapter'),
  ]);
  return command.action(async () => worker(valuesOf<WorkerValues>(command).values));
}

/** `3`, `0-7` or both with commas. @throws ConfigError. */
function parseGroups(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [, from, to = from] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    if (from === undefined || Number(to) < Number(from)) {
      throw new ConfigError(`group is "${text}"; expected places of groups from 0, such as 3, 0-7 or 1,5.`);
    }
    return Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) + i);
  });
}

async function worker(values: WorkerValues): Promise<void> {
  const { store: name, on, group } = values;
  if ((name === undefined) === (on === undefined)) {
    throw new ConfigError(
      'A worker takes trials from a store or from a queue. Name one of them, with --store or --on.',
    );
  }
  const reporter = new Reporter(values);
  const signal = interruptible(reporter, 'steps');
  const adapters = await adaptersOf(values.adapters);
  const opening: OpenOptions = await options.openOptions(values);
  const stores = new Map<string, Store>();
  const open = async (wanted: string) => {
    const store = stores.get(wanted) ?? (await openStore(wanted, { signal }));
    if (!stores.has(wanted)) await probeStore(store);
    stores.set(wanted, store);
    return store;
  };
  const queue = on === undefined ? undefined : await queueOf(on, reporter);
  const told = new Set<string>();
  try {
    const source = queue
      ? groupsInQueue(queue, open)
      : await groupsOfStore(await open(name!), values.sweep, group);
    reporter.line(`worker    takes trials from ${queue?.name ?? name}`);
    await work({
      source,
      adapters,
      opening,
      rows: rowsOf(values),
      signal,
      reporter,
      events: {
        progress: () => {},
        async ended({ store, group: { sweep, trials } }) {
          for (const outcome of await outcomesOf(store, sweep, trials)) tellFinal(outcome, told, reporter);
        },
      },
    });
    if (signal.aborted) throw asTask(signal.reason);
    if (!queue) await buryDead(await open(name!));
    reporter.line(`worker    nothing is left; ${count(told.size)} trials were finished here`);
  } finally {
    closePipes();
    reporter.stopBar();
    await queue?.close();
    for (const store of stores.values()) store.close();
  }
}

async function groupsOfStore(
  store: Store,
  id: string | undefined,
  only: readonly number[] | undefined,
): Promise<GroupSource> {
  const sweep = await sweepOf(store, id);
  const beyond = only?.find((group) => group >= sweep.groups.length);
  if (beyond !== undefined) {
    throw new ConfigError(
      `The sweep ${sweep.id} has groups 0 to ${sweep.groups.length - 1}, and group is ${beyond}.`,
    );
  }
  return groupsInStore(store, sweep, only);
}

/** A batch system sends SIGUSR2 before a task's time is up, and puts it back if it ends with a status that says so. */
function asTask(reason: unknown): unknown {
  const bySystem = reason instanceof Interrupted && reason.status === 128 + constants.signals.SIGUSR2;
  return bySystem ? new Interrupted(goesOnLater) : reason;
}

/** Where this machine has the rows, if that was said. */
function rowsOf({ data, validation, labels }: WorkerValues): RowOptions {
  return { ...(data && { data }), ...(validation && { validation }), ...(labels && { labels }) };
}
