import type { ModelConfig, TrainConfig } from '../../config.js';
import type { Model } from '../../model/model.js';
import type { SparsityName } from '../../sparsity/index.js';
import { leastLatents } from './crossover.js';

/**
 * Whether a model's training step takes its code as lists. It depends on nothing but the configuration, so that a snapshot
 * goes on anywhere: a list's sums have another order. Where gradients are clipped, their norm must be known before the
 * first update, and the matrices' kernels know it.
 */
export function takesLists({ h_dims, selection }: ModelConfig, config: TrainConfig<SparsityName>): boolean {
  return (
    selection !== undefined &&
    'topk' in selection &&
    h_dims.length === 1 &&
    h_dims[0] >= leastLatents * selection.topk &&
    config.clip_norm === undefined
  );
}

/** Makes a model select the latents that its training selects, with its decoder as the training step reads it. */
export async function prepareModel(model: Model, config: TrainConfig<SparsityName>): Promise<void> {
  model.selectFor(config);
  await model.storeDecoder(takesLists(model.config, config) ? 'by latents' : 'by outputs');
}
