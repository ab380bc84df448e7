// Sweeps whose workers are killed, stopped past their leases, interrupted and begun again at random, on stores and queues that fail: each
// trial ends once, with the bits of a sweep that nothing disturbs, and nothing is left over.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { openQueue } from '../../dist/node/queue/queue.js';
import { beds } from './fleet-beds.mjs';
import { prepare } from './jobs.mjs';
import { lives, start, unspoken } from './runs.mjs';

const lease = 3000;
/** Milliseconds after which a schedule hangs. */
const patience = 240_000;
const crewSize = 3;

const rows = ['--data', 'rows.npy', '--h-dims', '[8]', '--batch-size', '4', '--epochs', '6'];
const plain = [...rows, '--sparsity', 'topk', '--lr', '1e-3,3e-3', '--side-by-side', '2'];
/** What is swept, by name: one sweep or several, that share trials. */
const jobs = {
  plain: [[...plain, '--k', '2,3']],
  'two that overlap': [
    [...plain, '--k', '2,3'],
    [...plain, '--k', '3,4'],
  ],
  halving: [
    [
      ...[...rows, '--sparsity', 'topk', '--k', '2', '--lr', '1e-4,1e-3,3e-3,1e-2'],
      ...['--halving', '2', '--side-by-side', '4'],
    ],
  ],
};

const preload = pathToFileURL(join(import.meta.dirname, 'kill-at.mjs')).href;
const library = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu']
  .map((folder) => join(folder, 'faketime/libfaketimeMT.so.1'))
  .find((file) => existsSync(file));
/** How clocks may be wrong. */
const skews = ['+1h', '-1d', '+0 x10'];
const signals = { SIGINT: 130, SIGTERM: 143 };

/** @param {import('./torture.mjs').Torture} torture */
export async function* fleet(torture) {
  const prepared = new Map();
  for (;;) {
    const job = torture.pick(['plain', 'plain', 'two that overlap', 'halving']);
    if (!prepared.has(job)) prepared.set(job, await undisturbed(torture.folder, job));
    await new Schedule(torture, job, torture.pick(Object.keys(beds)), prepared.get(job)).run();
    yield;
  }
}

const worker = ['worker', '--adapters', 'llvmpipe', '--json'];
/** Bits do not depend on it, and starts are shorter. */
const quick = { GALLIVM_PERF: 'nopt', SAE_LEASE: `${lease / 1000}` };

/** What a job gives that nothing disturbs, and a store in which it is to be done. */
async function undisturbed(folder, job) {
  const cwd = mkdtempSync(join(folder, 'undisturbed-'));
  prepare(cwd);
  const done = async (args) => {
    const { status, stdout, stderr } = await start(args, { cwd, env: quick }).ended;
    if (status !== 0) throw new Error(`What nothing disturbs ended with ${status}: ${stderr}`);
    return stdout;
  };
  const sweeps = [];
  for (const [i, args] of jobs[job].entries()) {
    // With a script for Slurm, sweeps are written and not begun.
    const own = ['--save-every', '50', '--adapters', 'llvmpipe', '--json', '--slurm', `script${i}`];
    const [line] = (await done(['sweep', ...args, ...own, '--store', 'template'])).split('\n');
    sweeps.push(JSON.parse(line));
  }
  const template = join(cwd, 'template');
  const bed = await beds.folder(join(cwd), template);
  for (const { sweep } of sweeps) await done([...worker, ...bed.source, '--sweep', sweep]);
  return { template, sweeps, outcome: outcomeOf(bed) };
}

const trialsOf = (bed) =>
  bed.keys().flatMap((key) => {
    const [, trial] = /^trials\/(\w+)\/trial\.json$/.exec(key) ?? [];
    return trial ? [trial] : [];
  });

const statesOf = (bed, trial) => bed.versions(`trials/${trial}/state.json`).map((text) => JSON.parse(text));
const isFinal = ({ state }) => state !== 'open' && state !== 'running';

/** What all trials came to, without what the clock decides. */
function outcomeOf(bed) {
  return trialsOf(bed).map((trial) => {
    const { state, steps, result, failure } = statesOf(bed, trial).at(-1) ?? {};
    if (!result) return JSON.stringify({ trial, state, failure });
    const lines = bed.read(result.history).toString().trimEnd().split('\n');
    const history = lines.map((line) => ({
      ...JSON.parse(line),
      samples_per_second: 0,
      seconds: 0,
      first_step_seconds: 0,
    }));
    const model = createHash('sha256').update(bed.read(result.model)).digest('hex');
    return JSON.stringify({ trial, state, steps, metrics: result.metrics, model, history });
  });
}

class Schedule {
  /** Workers: { run, who, expected } of which expected is whether their end is ours. */
  crew = [];
  faults = [];
  lost = 0;

  constructor(torture, job, bedName, { template, sweeps, outcome }) {
    Object.assign(this, { torture, job, bedName, template, sweeps, outcome });
    this.cwd = mkdtempSync(join(torture.folder, 'fleet-'));
    mkdirSync(join(this.cwd, 'tmp'));
  }

  async run() {
    const { torture, job, bedName } = this;
    this.bed = await beds[bedName](this.cwd, this.template);
    try {
      await this.#keepQueue();
      for (let i = 0; i < crewSize; i++) this.crew.push(this.#begin(i));
      const breaking = this.#break();
      const isDone = await this.#watch();
      await breaking;
      await this.#end(isDone);
      this.#check();
    } catch (error) {
      this.#lose(error.stack);
    } finally {
      this.queue?.close();
      for (const { run } of this.crew) signal(run, 'SIGKILL');
      await Promise.all(this.crew.map(({ run }) => run.ended));
      await this.bed.close();
    }
    for (const row of [`on a ${bedName}`, job, 'all']) {
      torture.count('fleet', row, 'schedules');
      torture.count('fleet', row, 'lost', this.lost);
      torture.count('fleet', row, 'trials', this.outcome.length);
      torture.count('fleet', row, 'faults', this.faults.length);
    }
    for (const fault of this.faults) torture.count('fleet: faults', fault, 'done');
    if (this.lost === 0) rmSync(this.cwd, { recursive: true, force: true });
  }

  #lose(what) {
    this.lost += 1;
    this.torture.lost('fleet', `${this.job} on a ${this.bedName}, ${this.faults}, ${this.cwd}`, what);
  }

  /** Adds jobs, as `sae sweep --on --watch` does, and adds them again where the queue has forgotten them. */
  async #keepQueue() {
    const { bed, sweeps } = this;
    if (!bed.queue) return;
    const queue = await openQueue(bed.queue, { lock: 5000 });
    const jobs = sweeps.flatMap(({ sweep, groups }) =>
      Array.from({ length: groups }, (_, group) => ({
        id: `${sweep}-${group}`,
        data: { store: bed.store, sweep, group },
      })),
    );
    await queue.add(jobs);
    let closed = false;
    const keep = async () => {
      while (!closed) {
        await pause(1000);
        const { waiting, active } = await queue.state().catch(() => ({ waiting: 1, active: 0 }));
        if (waiting + active === 0 && !closed) await queue.add(jobs).catch(() => {});
      }
      await queue.close();
    };
    keep();
    this.queue = {
      close() {
        closed = true;
      },
    };
  }

  /** Begins a worker. @param i its place, by which it has a sweep and a clock. */
  #begin(i, env = {}) {
    const { bed, sweeps, cwd, torture } = this;
    this.skew ??= library && torture.random() < 0.4 ? torture.pick(skews) : undefined;
    if (i === 0 && this.skew && !this.faults.includes(`clock ${this.skew}`)) {
      this.faults.push(`clock ${this.skew}`);
    }
    const clock = i === 0 && this.skew ? { LD_PRELOAD: library, FAKETIME: this.skew } : {};
    const own = bed.queue ? [] : ['--sweep', sweeps[i % sweeps.length].sweep];
    const run = start([...worker, ...bed.source, ...own], {
      cwd,
      env: { ...quick, ...bed.env, ...clock, ...env },
      patience: patience + 60_000,
    });
    const one = { run, i, ended: undefined, killed: undefined };
    run.ended.then((ended) => {
      one.ended = ended;
    });
    return one;
  }

  /** Does what breaks workers and what they run on, one after another. */
  async #break() {
    const { torture, bed } = this;
    const count = 2 + Math.floor(torture.random() * 4);
    for (let i = 0; i < count && !this.isOver; i++) {
      await pause(100 + 2000 * torture.random());
      if (this.isOver) return;
      const own = Object.keys(bed.faults);
      if (own.length > 0 && torture.random() < 0.5) {
        const fault = torture.pick(own);
        this.faults.push(fault);
        await bed.faults[fault](() => torture.random());
      } else await this.#breakWorker();
    }
  }

  async #breakWorker() {
    const { torture } = this;
    const alive = this.crew.filter(({ ended }) => !ended);
    if (alive.length === 0) return;
    const one = torture.pick(alive);
    const { run } = one;
    const { pid } = run.child;
    const kinds = [
      'kill',
      'kill both',
      'kill process',
      'kill at a call',
      'stop',
      'stop both',
      'stop process',
    ];
    const kind = torture.pick([...kinds, ...Object.keys(signals)]);
    const children = childrenOf(pid);
    const whom = / process$/.test(kind) ? children : / both$/.test(kind) ? [pid, ...children] : [pid];
    this.faults.push(kind);
    if (kind in signals) {
      one.killed = kind;
      run.child.kill(kind);
    } else if (kind === 'kill at a call') {
      const nth = 1 + Math.floor(torture.random() ** 2 * 80);
      const kill = { folder: this.cwd, nth, after: torture.random() < 0.5, child: torture.random() < 0.7 };
      one.killed = 'SIGKILL';
      signal(run, 'SIGKILL');
      await run.ended;
      const env = { NODE_OPTIONS: `--import ${preload}`, TORTURE_KILL: JSON.stringify(kill) };
      const next = this.#begin(one.i, env);
      next.killed = 'SIGKILL';
      this.crew[this.crew.indexOf(one)] = next;
    } else if (kind.startsWith('kill')) {
      one.killed = 'SIGKILL';
      for (const each of whom) signal(each, 'SIGKILL');
    } else {
      for (const each of whom) signal(each, 'SIGSTOP');
      await pause(lease * (1.1 + torture.random()));
      for (const each of whom) signal(each, 'SIGCONT');
    }
  }

  /** Begins workers again until all trials are final. @returns whether they are. */
  async #watch() {
    const { bed, torture } = this;
    const end = performance.now() + patience;
    while (performance.now() < end) {
      const left = trialsOf(bed).filter(
        (trial) => !isFinal(statesOf(bed, trial).at(-1) ?? { state: 'open' }),
      );
      if (left.length === 0) return true;
      for (const [i, one] of this.crew.entries()) {
        if (!one.ended || one.isOver) continue;
        const { status } = one.ended;
        this.#judge(one);
        one.isOver = true;
        // It says that nothing is left of its sweep.
        if (status === 0 && this.sweeps.length === 1) {
          await pause(500);
          const still = left.filter((trial) => !isFinal(statesOf(bed, trial).at(-1) ?? { state: 'open' }));
          if (still.length > 0) this.#lose(`a worker said that nothing is left, and ${still} are`);
        }
        if (status === 0) continue;
        await pause(500 * torture.random());
        this.crew[i] = this.#begin(one.i);
      }
      await pause(100);
    }
    return false;
  }

  /** Whether a worker's end was one that may be. */
  #judge({ ended, killed }) {
    const { status, signal: by } = ended;
    const wrongly = unspoken(ended);
    if (wrongly) this.#lose(wrongly);
    else if (![0, 1, signals[killed]].includes(status) && by !== killed) {
      this.#lose(`a worker ended with ${by ?? status}: ${ended.stderr}`);
    }
  }

  async #end(isDone) {
    this.isOver = true;
    const states = trialsOf(this.bed).map((trial) => statesOf(this.bed, trial).at(-1)?.state);
    if (!isDone) this.#lose(`it hangs: ${states}; ${this.crew.map(({ run }) => run.said.stderr)}`);
    if (!isDone || this.bed.queue) for (const { run } of this.crew) signal(run, 'SIGTERM');
    const late = pause(60_000, 'late', { ref: false });
    const all = Promise.all(this.crew.map(({ run }) => run.ended));
    if ((await Promise.race([all, late])) === 'late') this.#lose('a worker does not end');
    for (const { run } of this.crew) signal(run, 'SIGKILL');
    // The next one finds nothing to do, and takes away what is left of killed ones.
    for (const { sweep } of this.sweeps) {
      const args = [...worker, '--store', this.bed.store, '--sweep', sweep];
      const next = await start(args, { cwd: this.cwd, env: { ...quick, ...this.bed.env } }).ended;
      if (next.status !== 0) this.#lose(`the next worker ended with ${next.status}: ${next.stderr}`);
    }
  }

  #check() {
    const { bed, outcome } = this;
    const now = outcomeOf(bed);
    outcome.forEach((wanted, i) => {
      if (wanted !== now[i]) this.#lose(`${now[i]?.slice(0, 400)} and was ${wanted.slice(0, 400)}`);
    });
    const named = new Set();
    for (const trial of trialsOf(bed)) {
      const states = statesOf(bed, trial);
      const finals = states.filter(isFinal);
      if (finals.length !== 1 || !isFinal(states.at(-1))) {
        this.#lose(`the states of ${trial} are ${states.map(({ state }) => state)}`);
      }
      const { snapshot, result } = states.at(-1) ?? {};
      for (const key of [snapshot, result?.model, result?.history]) named.add(key);
    }
    const own = /^(sweeps\/\w+\.json|ended\/\w+\/\d+|trials\/\w+\/(trial|state)\.json(~\d+)?)$/;
    const left = bed.keys().filter((key) => !own.test(key) && !named.has(key));
    const probes = left.filter((key) => /^probe-/.test(key));
    this.torture.count('fleet', 'all', 'probes left', probes.length);
    if (left.length > probes.length) this.#lose(`there are ${left}`);
  }
}

/** Those that a process has begun. */
function childrenOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number);
  } catch {
    return [];
  }
}

/** @param {number | { child: import('node:child_process').ChildProcess }} whom */
function signal(whom, name) {
  const pid = typeof whom === 'number' ? whom : whom.child.pid;
  try {
    if (lives(pid)) process.kill(pid, name);
  } catch {
    // It has ended.
  }
}
