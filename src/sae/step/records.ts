import type { TrainConfig } from '../config.js';
import { optimizerOf } from '../optimizer/index.js';
import { type SparsityName, sparsityOf } from '../sparsity/index.js';

/** Bytes of `struct Step` in `metrics/step.wgsl`. */
export const stepBytes = 32;

/** Number of batches, of which the last may be short. */
export function batchesOf(rows: number, batchRows: number): number {
  return Math.ceil(rows / batchRows);
}

/** The steps of a window for which records are made. */
export interface WindowSteps {
  /** Rows of the window, and of a batch. */
  readonly rows: number;
  readonly batchRows: number;
  /** Updates before the window. */
  readonly updates: number;
  /** The step at which the records begin; by default the first. */
  readonly from?: number;
}

/**
 * One record per batch of a window, in the layout of `struct Step`.
 * @param configAt the configuration with the settings of a step, which counts from 0 over all epochs.
 */
export function stepRecords(
  configAt: (step: number) => TrainConfig<SparsityName>,
  { rows, batchRows, updates, from = 0 }: WindowSteps,
): ArrayBuffer {
  const batches = batchesOf(rows, batchRows);
  const records = new DataView(new ArrayBuffer((batches - from) * stepBytes));
  for (let i = from; i < batches; i++) {
    const config = configAt(updates + i);
    const rates = optimizerOf(config.optimizer).rates(config.lr, updates + i + 1, config);
    const at = (i - from) * stepBytes;
    const first = i * batchRows;
    const inBatch = Math.min(batchRows, rows - first);
    records.setUint32(at, first, true);
    records.setUint32(at + 4, inBatch, true);
    for (const [j, rate] of rates.entries()) {
      records.setFloat32(at + 8 + 4 * j, rate, true);
    }
    const coefficients = sparsityOf(config.sparsity).coefficients(config, inBatch);
    for (const [j, coefficient] of coefficients.entries()) {
      records.setFloat32(at + 16 + 4 * j, coefficient, true);
    }
  }
  return records.buffer;
}
