import type { Submitted } from '../../gpu/pacer.js';
import type { TrainConfig } from '../config.js';
import { DataError } from '../errors.js';
import type { SparsityName } from '../sparsity/index.js';
import { batchesOf, stepRecords } from '../step/records.js';
import type { StepLog } from '../step/step-log.js';
import type { TrainStep } from '../step/train-step.js';
import { type NextWindow, RowOrder, type RowOrderState } from './row-order.js';
import { settingsAt } from './schedule.js';

/** How far a training is, between two submits. */
export interface Place {
  /** Steps done, over all epochs. */
  readonly done: number;
  readonly order: RowOrderState;
}

/** The steps, over all epochs, before a window. @param number of it. */
function stepsBefore(number: number, { windows: { sizes }, batches, batchRows }: TrainStep): number {
  const passes = Math.floor(number / sizes.count);
  return passes * batches + (number % sizes.count) * batchesOf(sizes.size, batchRows);
}

/** @throws DataError if a training with this step cannot be at that place. */
function checkPlace({ done, order: { order, chunks, begun } }: Place, step: TrainStep): void {
  const { sizes } = step.windows;
  const { count } = sizes;
  // `order` is what the first window's order is shuffled from.
  const rows = sizes.rowsOf(begun > 0 ? (begun - 1) % count : 0);
  const steps = begun > 0 ? done - stepsBefore(begun - 1, step) : done;
  const possible = steps >= 0 && steps <= (begun > 0 ? batchesOf(rows, step.batchRows) : 0);
  if (!possible || !isOrder(order, rows) || !isOrder(chunks, sizes.chunks)) {
    throw new DataError(
      `The snapshot was taken after ${done} steps, at a place in training that does not exist with ${step.source.rows} rows in ` +
        `batches of ${step.batchRows}. Resume it unchanged, with its own rows.`,
    );
  }
}

/** Whether each number below `count` is there once. */
function isOrder(order: Uint32Array, count: number): boolean {
  const seen = new Uint8Array(count);
  return order.length === count && order.every((place) => place < count && ++seen[place] === 1);
}

/** The course of a training: epochs, and the windows in each of them. */
export class Course {
  readonly #order: RowOrder;
  /** The epoch of the next step, or the one that the last step ended; 0 before the first. */
  #epoch = 0;

  /**
   * @param runSteps steps of the run.
   * @param from the place from which `restore` will go on; by default the start.
   * @throws DataError if there is no such place.
   */
  constructor(
    readonly step: TrainStep,
    config: { readonly seed: number; readonly shuffle: boolean },
    readonly runSteps: number,
    from?: Place,
  ) {
    if (from) {
      checkPlace(from, step);
    }
    this.#order = new RowOrder(step.windows.sizes, config, from?.order);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Steps that were submitted, over all epochs. */
  get done(): number {
    return (this.#epoch - 1) * this.step.batches + this.step.done;
  }

  get place(): Place {
    return { done: this.done, order: this.#order.state };
  }

  /** Loads the rows with which training goes on. The step's own state is restored after that. */
  async restore({ done, order }: Place, config: TrainConfig<SparsityName>): Promise<void> {
    if (order.begun === 0) {
      return;
    }
    const { step } = this;
    const { windows, batches } = step;
    const number = order.begun - 1;
    this.#epoch = Math.floor(number / windows.sizes.count) + 1;
    await windows.load(number, this.#order.runs('current'));
    step.beginPass();
    step.beginWindow(number, order.order);
    const before = stepsBefore(number, step);
    step.skip(before - (this.#epoch - 1) * batches, done - before);
    this.schedule(config);
    loadAhead(step, this.#order);
  }

  /** Begins the next window of rows if the current one is used up; returns a promise if it is not on the device yet. */
  advance(config: TrainConfig<SparsityName>): Promise<void> | undefined {
    const { step } = this;
    if (step.leftInWindow > 0) {
      return undefined;
    }
    const next = beginNext(step, this.#order);
    if (next instanceof Promise) {
      return next;
    }
    if (next.first) {
      this.#epoch += 1;
    }
    this.schedule(config);
    loadAhead(step, this.#order);
    return undefined;
  }

  /** Submits steps of the current window, at most `most`; none beyond the end of the run together with those before. */
  submit(most: number): Submitted<StepLog> {
    const { done, runSteps } = this;
    const submitted = this.step.submit(most, done < runSteps ? runSteps - done : undefined);
    if (this.step.leftInWindow === 0) {
      this.#order.prepare();
    }
    return submitted;
  }

  /** Applies settings to the window's steps that were not submitted yet. */
  schedule(config: TrainConfig<SparsityName>): void {
    const { step } = this;
    if (step.leftInWindow > 0) {
      const { rows, submitted } = step.window;
      const updates = this.done - submitted;
      const configAt = (n: number) =>
        settingsAt(config, n, { steps: this.runSteps, sizes: step.model.config });
      step.schedule(stepRecords(configAt, { rows, batchRows: step.batchRows, updates, from: submitted }));
    }
  }
}

/**
 * Begins the next window, and a pass if it is the first of one; returns a promise if its rows are not on the device yet, which
 * are then loaded.
 */
export function beginNext(step: TrainStep, order: RowOrder): NextWindow | Promise<void> {
  if (!step.windows.has(order.upcoming)) {
    return loadUpcoming(step, order);
  }
  const next = order.next();
  if (next.first) {
    step.beginPass();
  }
  step.beginWindow(next.number, next.order);
  return next;
}

/** Loads the next rows into the window that is not in use, if there are two. */
export function loadAhead(step: TrainStep, order: RowOrder): void {
  if (step.windows.sizes.count > 1) {
    // A failure is reported when the rows are needed: they are then loaded again.
    loadUpcoming(step, order).catch(() => {});
  }
}

function loadUpcoming(step: TrainStep, order: RowOrder): Promise<void> {
  return step.windows.load(order.upcoming, order.runs('upcoming'));
}
