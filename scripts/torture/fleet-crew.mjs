// Workers of sweeps, which are broken and begun again until all trials are final.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { tidy } from '../../dist/node/fleet/claims.js';
import { openQueue } from '../../dist/node/queue/queue.js';
import { lease, leftIn, patience, quick, statesOf, trialsOf, worker, wrongIn } from './fleet-sweeps.mjs';
import { lives, start, unspoken } from './runs.mjs';

const preload = pathToFileURL(join(import.meta.dirname, 'kill-at.mjs')).href;
const faketime = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu']
  .map((folder) => join(folder, 'faketime/libfaketimeMT.so.1'))
  .find((file) => existsSync(file));
/** How clocks may be wrong. */
export const skews = faketime ? ['+1h', '-1d', '+0 x10'] : [];
export const signals = { SIGINT: 130, SIGTERM: 143 };
/** Whom a kill or a stop is of. */
export const parts = ['worker', 'process', 'both'];

export class Crew {
  /** What went wrong, in sentences. @type {string[]} */
  wrong = [];
  /** Each has { run, place, ended, killed }: how it ended, and by which signal of ours. */
  workers = [];
  isOver = false;

  /**
   * @param {{ cwd: string, bed: import('./fleet-beds.mjs').Bed, sweeps: { sweep: string, groups: number }[], outcome: string[] }} of
   * @param {{ size?: number, skew?: string, before?: readonly (readonly string[])[] }} [how] the first one's clock; commands that run
   * workers elsewhere, by their places
   */
  constructor({ cwd, bed, sweeps, outcome }, { size = 3, skew, before = [] } = {}) {
    this.cwd = cwd;
    this.bed = bed;
    this.sweeps = sweeps;
    this.outcome = outcome;
    this.size = size;
    this.skew = skew;
    this.before = before;
  }

  /** @param {() => Promise<void>} breaking @returns what went wrong */
  async run(breaking) {
    try {
      await this.#keepQueue();
      for (let place = 0; place < this.size; place++) this.workers.push(this.begin(place));
      const broken = breaking().catch((error) => this.wrong.push(error.stack));
      const isDone = await this.#watch();
      await broken;
      await this.#end(isDone);
      // As `sae sweep` does before it makes the results.
      await tidy(this.bed.opened);
      this.wrong.push(...(await wrongIn(this.bed, this.outcome)));
    } catch (error) {
      this.wrong.push(error.stack);
    } finally {
      await this.queue?.close();
      for (const { run } of this.workers) send(run.child.pid, 'SIGKILL');
      await Promise.all(this.workers.map(({ run }) => run.ended));
    }
    return this.wrong;
  }

  /** Begins a worker. @param {number} place by which it has a sweep */
  begin(place, env = {}) {
    const { bed, sweeps, cwd, skew } = this;
    const clock = place === 0 && skew ? { LD_PRELOAD: faketime, FAKETIME: skew } : {};
    const own = bed.queue ? [] : ['--sweep', sweeps[place % sweeps.length].sweep];
    const [command, ...before] = [...(this.before[place] ?? []), process.execPath];
    const run = start([...worker, ...bed.source, ...own], {
      cwd,
      command,
      before,
      env: { ...quick, ...bed.env, ...clock, ...env },
      patience: patience + 60_000,
    });
    const one = { run, place, ended: undefined, killed: undefined };
    run.ended.then((ended) => {
      one.ended = ended;
    });
    return one;
  }

  /** Those that have not ended. */
  get alive() {
    return this.workers.filter(({ ended }) => !ended);
  }

  /**
   * Waits until something is so of some of the trials that were taken, or of all, or all is over.
   * @param {(state: any) => unknown} is of a trial's state @param {'some' | 'every'} [of]
   */
  async until(is, of = 'some') {
    for (;;) {
      const states = [];
      for (const trial of await trialsOf(this.bed)) states.push((await statesOf(this.bed, trial)).at(-1));
      if (this.isOver || states.filter(Boolean)[of](is)) return;
      await pause(20);
    }
  }

  /** @param {string} part */
  kill(one, part) {
    one.killed = 'SIGKILL';
    for (const pid of pidsOf(one, part)) send(pid, 'SIGKILL');
  }

  /** Lets it sleep for longer than its lease. @param {string} part */
  async stop(one, part, milliseconds = 1.5 * lease) {
    const pids = pidsOf(one, part);
    for (const pid of pids) send(pid, 'SIGSTOP');
    await pause(milliseconds);
    for (const pid of pids) send(pid, 'SIGCONT');
  }

  interrupt(one, name) {
    one.killed = name;
    one.run.child.kill(name);
  }

  /** Begins it anew, to be killed at a call: see kill-at.mjs. @returns the new one */
  async killAt(one, place) {
    this.kill(one, 'worker');
    await one.run.ended;
    const kill = { folder: this.cwd, ...place };
    const next = this.begin(one.place, {
      NODE_OPTIONS: `--import ${preload}`,
      TORTURE_KILL: JSON.stringify(kill),
    });
    next.killed = 'SIGKILL';
    this.workers[this.workers.indexOf(one)] = next;
    return next;
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
    const ending = new AbortController();
    const { signal } = ending;
    const keeping = (async () => {
      while (!signal.aborted) {
        await pause(1000, undefined, { signal }).catch(() => {});
        const { waiting, active } = await queue.state().catch(() => ({ waiting: 1, active: 0 }));
        if (waiting + active === 0 && !signal.aborted) await queue.add(jobs).catch(() => {});
      }
    })();
    this.queue = {
      state: () => queue.state(),
      async close() {
        ending.abort();
        await queue.close();
        await keeping;
      },
    };
  }

  /** Begins workers again until all trials are final. @returns whether they are. */
  async #watch() {
    const { bed } = this;
    const end = performance.now() + patience;
    while (performance.now() < end) {
      const left = await leftIn(bed);
      if (left.length === 0) return true;
      for (const [i, one] of this.workers.entries()) {
        if (!one.ended || one.isJudged) continue;
        this.#judge(one);
        one.isJudged = true;
        if (one.ended.status !== 0) {
          await pause(200);
          this.workers[i] = this.begin(one.place);
        } else if (this.sweeps.length === 1 && (await leftIn(bed)).length > 0) {
          this.wrong.push(`a worker said that nothing is left, and ${left} are`);
        }
      }
      await pause(100);
    }
    return false;
  }

  /** Whether a worker's end was one that may be. */
  #judge({ ended, killed }) {
    const { status, signal: by } = ended;
    const wrongly = unspoken(ended);
    if (wrongly) this.wrong.push(wrongly);
    else if (![0, 1, signals[killed]].includes(status) && by !== killed) {
      this.wrong.push(`a worker ended with ${by ?? status}: ${ended.stderr}`);
    }
  }

  async #end(isDone) {
    this.isOver = true;
    const { bed, cwd, sweeps } = this;
    if (!isDone) this.wrong.push(`it hangs: ${this.workers.map(({ run }) => run.said.stderr)}`);
    if (!isDone || bed.queue) for (const { run } of this.workers) send(run.child.pid, 'SIGTERM');
    const late = pause(patience / 2, 'late', { ref: false });
    const all = Promise.all(this.workers.map(({ run }) => run.ended));
    if ((await Promise.race([all, late])) === 'late') this.wrong.push('a worker does not end');
    for (const { run } of this.workers) send(run.child.pid, 'SIGKILL');
    await all;
    // The next one finds nothing to do.
    for (const { sweep } of sweeps) {
      const args = [...worker, '--store', bed.store, '--sweep', sweep];
      const next = await start(args, { cwd, env: { ...quick, ...bed.env }, patience }).ended;
      if (next.status !== 0) this.wrong.push(`the next worker ended with ${next.status}: ${next.stderr}`);
    }
  }
}

/** The processes of a worker: its own, that of its adapter, or both. */
function pidsOf({ run }, part) {
  const { pid } = run.child;
  const children = childrenOf(pid);
  return part === 'worker' ? [pid] : part === 'process' ? children : [pid, ...children];
}

function childrenOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function send(pid, name) {
  try {
    if (lives(pid)) process.kill(pid, name);
  } catch {
    // It has ended.
  }
}
