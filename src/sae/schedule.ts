import type { TrainConfig } from './config.js';

/** Bytes of one record of `struct Step` in `step.wgsl`. */
export const stepBytes = 24;

/** Adam's beta1 and beta2, as in `adam_rule.wgsl`. */
const beta1 = 0.9;
const beta2 = 0.999;

/** What `stepRecords` takes from a configuration. */
export type StepSettings = Pick<TrainConfig, 'batch_size' | 'lr' | 'sparsity_lambda' | 'sparsity_target'>;

/** Batches an epoch, the last of which may be short. */
export function batchesOf(rows: number, batch_size: number): number {
  return Math.ceil(rows / batch_size);
}

/**
 * One record a batch of an epoch, as `struct Step` lays them out.
 * Adam's bias corrections are computed here in double: in f32 on a device, 1 - 0.999^t is off by 1e-4 at t = 1.
 * @param updates how many updates went before the epoch.
 * @param from the batch that the records begin with.
 */
export function stepRecords(rows: number, updates: number, settings: StepSettings, from = 0): ArrayBuffer {
  const { batch_size, lr, sparsity_lambda, sparsity_target } = settings;
  const batches = batchesOf(rows, batch_size);
  const records = new DataView(new ArrayBuffer((batches - from) * stepBytes));
  for (let i = from; i < batches; i++) {
    const at = (i - from) * stepBytes;
    const t = updates + i + 1;
    const first = i * batch_size;
    records.setUint32(at, first, true);
    records.setUint32(at + 4, Math.min(batch_size, rows - first), true);
    records.setFloat32(at + 8, lr / (1 - beta1 ** t), true);
    records.setFloat32(at + 12, 1 / Math.sqrt(1 - beta2 ** t), true);
    records.setFloat32(at + 16, sparsity_lambda, true);
    records.setFloat32(at + 20, sparsity_target, true);
  }
  return records.buffer;
}
