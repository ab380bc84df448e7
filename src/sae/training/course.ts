import type { Submitted } from '../../gpu/pacer.js';
import type { TrainConfig } from '../config.js';
import { DataError } from '../errors.js';
import type { SparsityName } from '../sparsity/index.js';
import { batchesOf, stepRecords } from '../step/records.js';
import type { StepLog } from '../step/step-log.js';
import type { TrainStep } from '../step/train-step.js';
import { RowOrder, type RowOrderState } from './row-order.js';
import { settingsAt } from './schedule.js';

/** How far a training is, between two submits. */
export interface Place {
  /** Steps done, over all epochs. */
  readonly done: number;
  /** Those of them in the current window. */
  readonly inWindow: number;
  readonly order: RowOrderState;
}

/** @throws DataError if a training with this step cannot be at that place. */
function checkPlace({ done, inWindow, order: { order, blocks, begun } }: Place, step: TrainStep): void {
  const { windows, batches, batchRows } = step;
  const each = new Set(blocks.filter((block) => block < windows.blocks));
  const known = each.size === windows.blocks && blocks.length === windows.blocks;
  // Training begins as after an epoch, with all blocks begun; `order` is what the first block's order is shuffled from.
  const started = done > 0 || begun === windows.blocks;
  const rows = windows.rowsOf(done > 0 ? blocks[begun - 1] : 0);
  const inEpoch = done - (Math.ceil(done / batches) - 1) * batches;
  const steps = inWindow <= Math.min(done > 0 ? inEpoch : 0, batchesOf(rows, batchRows));
  const seen = new Uint8Array(order.length);
  const whole = order.length === rows && order.every((row) => row < rows && ++seen[row] === 1);
  if (!known || !started || !steps || !whole) {
    throw new DataError(
      `The snapshot was taken after ${done} steps, at a place in training that does not exist with ${step.source.rows} rows in ` +
        `batches of ${batchRows}. Resume it unchanged, with its own rows.`,
    );
  }
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
    const { windows } = step;
    const blocks = Array.from({ length: windows.blocks }, (_, block) => windows.rowsOf(block));
    this.#order = new RowOrder(blocks, config, from?.order);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Steps that were submitted, over all epochs. */
  get done(): number {
    return (this.#epoch - 1) * this.step.batches + this.step.done;
  }

  get place(): Place {
    return { done: this.done, inWindow: this.step.window.submitted, order: this.#order.state };
  }

  /** Loads the rows with which training goes on. The step's own state is restored after that. */
  async restore({ done, inWindow, order }: Place, config: TrainConfig<SparsityName>): Promise<void> {
    if (done === 0) {
      return;
    }
    const { step } = this;
    this.#epoch = Math.ceil(done / step.batches);
    const block = order.blocks[order.begun - 1];
    await step.windows.load(block);
    step.beginPass();
    step.beginWindow(block, order.order);
    step.skip(done - (this.#epoch - 1) * step.batches - inWindow, inWindow);
    this.schedule(config);
    this.#loadAhead();
  }

  /** Begins the next block of rows if the current one is used up; returns a promise if it is not on the device yet. */
  advance(config: TrainConfig<SparsityName>): Promise<void> | undefined {
    const { step } = this;
    if (step.leftInWindow > 0) {
      return undefined;
    }
    if (!step.windows.has(this.#order.upcoming)) {
      return step.windows.load(this.#order.upcoming);
    }
    const { block, order, first } = this.#order.next();
    if (first) {
      this.#epoch += 1;
      step.beginPass();
    }
    step.beginWindow(block, order);
    this.schedule(config);
    this.#loadAhead();
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

  /** Loads the next block into the window that is not in use, if there are two. */
  #loadAhead(): void {
    // A failure is reported when the block is needed: it is then loaded again.
    this.step.windows.load(this.#order.upcoming).catch(() => {});
  }
}
