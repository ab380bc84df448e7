import { setTimeout } from 'node:timers/promises';
import { DeviceLostError, type GivenUp, NonFiniteLossError } from '../node/index.js';
import { type Reporter, short } from './reporter.js';
import { type Resumed, readResumedFile } from './resume.js';
import type { Snapshots } from './snapshots.js';

/** How often a lost device is opened again without anything saved in between. */
const mostLosses = 3;
/** Milliseconds before each of these times: a driver that was reset may not be back yet. */
const pauses = [0, 500, 3000];
/** How often a run goes back because its figures were not finite, in all. */
const mostRollbacks = 5;

/** What `--on_divergence` says to do when a loss, a gradient or a moment is not finite. */
export const onDivergence = ['stop', 'rollback'] as const;

/**
 * What throws a run back to its last snapshot or, if there is none yet, to its beginning: a device that is lost, and figures
 * that are not finite, after which it goes on with half the learning rate: otherwise the same steps would end the same way.
 */
export class Setbacks {
  #losses = 0;
  #rollbacks = 0;
  #rollbacksSinceSaved = 0;
  #saved: number | undefined;
  #why = '';
  /** Whether there was one. */
  any = false;
  /** Steps and epochs that were done, reported, and given up. */
  givenUp: readonly GivenUp[];
  /** How far the run has come: steps whose metrics were reported, and whole epochs. */
  reached = { steps: 0, epochs: 0 };

  /** @param begun the snapshot from which the run goes on, if it does, and what was given up before. */
  constructor(
    readonly snapshots: Snapshots | undefined,
    readonly begun: { readonly file: string; readonly givenUp: readonly GivenUp[] } | undefined,
    readonly divergence: (typeof onDivergence)[number],
    readonly reporter: Reporter,
    readonly signal: AbortSignal,
  ) {
    this.#saved = snapshots?.saved;
    this.givenUp = begun?.givenUp ?? [];
  }

  /** By what the learning rate is multiplied from the place on to which the run goes back. */
  get lrFactor(): number {
    return 0.5 ** this.#rollbacksSinceSaved;
  }

  /** Whether the run goes on after an error, which is then reported. @param lr that of the run so far. */
  survives(error: unknown, lr: number): boolean {
    if (this.signal.aborted) return false;
    const saved = this.snapshots?.saved;
    if (saved !== this.#saved) {
      this.#losses = 0;
      this.#rollbacksSinceSaved = 0;
      this.#saved = saved;
    }
    if (error instanceof DeviceLostError) {
      if (++this.#losses > mostLosses) return false;
      const [what] = error.message.split(/(?<=\.) /);
      this.#report(what, `It is opened again, and training goes on from ${this.#place}.`);
      return true;
    }
    if (error instanceof NonFiniteLossError && this.divergence === 'rollback') {
      if (++this.#rollbacks > mostRollbacks) return false;
      this.#rollbacksSinceSaved += 1;
      const { epoch, step } = error;
      const what =
        typeof error.what === 'object' ? `moments of ${error.what.momentsOf}` : `the ${error.what}`;
      this.#report(
        `In epoch ${epoch} at step ${step}, ${what} stopped being finite.`,
        `Training goes back to ${this.#place}, with half the learning rate, ${short(lr / 2)}.`,
      );
      return true;
    }
    return false;
  }

  /** What the run goes on from, when it is time. What came after that is said to be given up. */
  async last(): Promise<Resumed | undefined> {
    await setTimeout(pauses[this.#losses - 1] ?? 0);
    const file = this.snapshots?.saved === undefined ? this.begun?.file : this.snapshots.file;
    const last = file === undefined ? undefined : await readResumedFile(file);
    this.#giveUp(last?.saved.snapshot.done ?? 0, last?.state.history.length ?? 0);
    return last;
  }

  /** @param steps those that stay. @param epochs the same. */
  #giveUp(steps: number, epochs: number): void {
    const { reached, reporter } = this;
    if (reached.steps <= steps) return;
    const lost = Array.from({ length: Math.max(0, reached.epochs - epochs) }, (_, i) => epochs + 1 + i);
    const given_up = { steps: [steps + 1, reached.steps] as const, epochs: lost, why: this.#why };
    this.givenUp = [...this.givenUp, given_up];
    reporter.json({ given_up });
    if (lost.length === 1) reporter.warn(`Epoch ${lost[0]} above is given up: it comes again.`);
    if (lost.length > 1)
      reporter.warn(`Epochs ${lost[0]} to ${lost.at(-1)} above are given up: they come again.`);
    this.reached = { steps, epochs };
  }

  #report(why: string, sentence: string): void {
    this.any = true;
    this.#why = why;
    this.reporter.warn(`${why} ${sentence}`);
  }

  get #place(): string {
    const saved = this.snapshots?.saved;
    if (saved !== undefined) return `step ${saved.toLocaleString('en')}`;
    return this.begun?.file ?? 'its beginning';
  }
}
