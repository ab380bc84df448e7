import { liveSettings } from '../config.js';
import type { SparsityName } from '../sparsity/index.js';
import type { StepMetrics } from './metrics.js';

/** Means over some consecutive steps; `step`, `epoch` and the settings are those of the last. */
export type LossPoint<S extends SparsityName = 'kl'> = StepMetrics<S> & {
  /** How many steps. */
  readonly steps: number;
};

/** Taken from the last step, not averaged. */
const ofTheLast = new Set(['step', 'epoch', 'steps', ...liveSettings]);

/** Steps over which `recent` is the mean. */
const recentSteps = 100;

/** The curves of a training of any length in bounded memory: with too many points, they become coarser. */
export class LossHistory<S extends SparsityName = 'kl'> {
  #points: LossPoint<S>[] = [];
  #recent: LossPoint<S>[] = [];
  /** Steps per point; the last may have fewer. */
  #stride = 1;

  /** @param most the most points. @param points of the training so far. */
  constructor(
    readonly most = 1024,
    points: readonly LossPoint<S>[] = [],
  ) {
    this.#points = [...points];
    this.#stride = points.reduce((stride, { steps }) => Math.max(stride, steps), 1);
  }

  /** All points so far, the oldest first, each the mean of its steps. */
  get points(): readonly LossPoint<S>[] {
    return this.#points;
  }

  /** Means over the last hundred steps: a single batch, above all a short one at the end of an epoch, says little. */
  get recent(): LossPoint<S> | undefined {
    return this.#recent.length > 0 ? this.#recent.reduce(together) : undefined;
  }

  /** Adds the next steps. */
  add(steps: readonly StepMetrics<S>[]): void {
    const lately = steps.slice(-recentSteps).map((step) => ({ ...step, steps: 1 }));
    this.#recent = [...this.#recent, ...lately].slice(-recentSteps);
    for (const step of steps) {
      if (this.#points.length >= this.most && !this.#lastHasRoom) {
        this.#coarsen();
      }
      const point = { ...step, steps: 1 };
      const last = this.#lastHasRoom ? this.#points.pop() : undefined;
      this.#points.push(last ? together(last, point) : point);
    }
  }

  /** Drops the points after a step, from which training goes on again. */
  rewind(step: number): void {
    this.#points = this.#points.filter((point) => point.step <= step);
    this.#recent = this.#recent.filter((point) => point.step <= step);
  }

  get #lastHasRoom(): boolean {
    const last = this.#points.at(-1);
    return last !== undefined && last.steps < this.#stride;
  }

  /** A line of names, then one line per point. */
  toCsv(): string {
    const [first] = this.#points;
    const names = first ? (Object.keys(first) as (keyof LossPoint<S>)[]) : ['step'];
    const lines = this.#points.map((point) => names.map((name) => point[name as 'loss']).join());
    return [names.join(), ...lines, ''].join('\n');
  }

  #coarsen(): void {
    const points: LossPoint<S>[] = [];
    for (let i = 0; i < this.#points.length; i += 2) {
      const [first, second] = this.#points.slice(i, i + 2);
      points.push(second ? together(first, second) : first);
    }
    this.#points = points;
    this.#stride *= 2;
  }
}

function together<S extends SparsityName>(first: LossPoint<S>, second: LossPoint<S>): LossPoint<S> {
  const steps = first.steps + second.steps;
  const means = Object.keys(second)
    .filter((name) => !ofTheLast.has(name))
    .map((name) => {
      const [one, other] = [first, second].map((point) => point[name as 'loss']);
      return [name, (one * first.steps + other * second.steps) / steps];
    });
  return { ...second, ...Object.fromEntries(means), steps };
}
