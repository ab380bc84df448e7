import type { StepMetrics } from './metrics.js';

/** Means over some steps in a row; `step` and the settings are those of the last. */
export interface LossPoint extends StepMetrics {
  /** How many steps. */
  readonly steps: number;
}

const averaged = ['loss', 'mse', 'kl', 'active'] as const;
const columns = [
  'step',
  'epoch',
  ...averaged,
  'lr',
  'sparsity_lambda',
  'sparsity_target',
  'steps',
] as const satisfies (keyof LossPoint)[];

/** Steps that `recent` is a mean over. */
const recentSteps = 100;

/** The curves of a training of any length in bounded memory: where there are too many points, they become coarser. */
export class LossHistory {
  #points: LossPoint[] = [];
  #recent: LossPoint[] = [];
  /** Steps a point, but for the last one. */
  #stride = 1;

  /** @param most points at most. */
  constructor(readonly most = 1024) {}

  get points(): readonly LossPoint[] {
    return this.#points;
  }

  /** Means over the last hundred steps: a single batch, above all an epoch's last and short one, tells little. */
  get recent(): LossPoint | undefined {
    return this.#recent.length > 0 ? this.#recent.reduce(together) : undefined;
  }

  add(steps: readonly StepMetrics[]): void {
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

  /** Forgets what came after a step: training goes on from there once more. */
  rewind(step: number): void {
    this.#points = this.#points.filter((point) => point.step <= step);
    this.#recent = this.#recent.filter((point) => point.step <= step);
  }

  get #lastHasRoom(): boolean {
    const last = this.#points.at(-1);
    return last !== undefined && last.steps < this.#stride;
  }

  /** A line of names, then a line a point. */
  toCsv(): string {
    const lines = this.#points.map((point) => columns.map((name) => point[name]).join());
    return [columns.join(), ...lines, ''].join('\n');
  }

  #coarsen(): void {
    const points: LossPoint[] = [];
    for (let i = 0; i < this.#points.length; i += 2) {
      const [first, second] = this.#points.slice(i, i + 2);
      points.push(second ? together(first, second) : first);
    }
    this.#points = points;
    this.#stride *= 2;
  }
}

function together(first: LossPoint, second: LossPoint): LossPoint {
  const steps = first.steps + second.steps;
  const means = averaged.map((name) => {
    return [name, (first[name] * first.steps + second[name] * second.steps) / steps];
  });
  return { ...second, ...Object.fromEntries(means), steps };
}
