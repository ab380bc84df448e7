import type { ModelConfig, TrainConfig } from '../../config.js';
import type { Model } from '../../model/model.js';
import { type AuxkLoss, type AuxkOptions, auxkLosses } from '../../sparsity/auxk.js';
import { hasLists, type SparsityName } from '../../sparsity/index.js';
import { kAt } from '../../sparsity/k.js';
import { leastLatents } from './crossover.js';

/** What the kinds of sparsity whose codes are lists have, each some of it. */
interface ListOptions extends AuxkOptions {
  readonly rescale_acts_by_decoder_norm?: boolean;
  readonly k?: number;
  readonly k_decay?: number;
  readonly matryoshka?: readonly number[] | undefined;
}

/** The options of a training with lists. */
export function listOptions(config: TrainConfig<SparsityName>): ListOptions {
  return config as ListOptions;
}

/** The form of AuxK's loss; undefined without AuxK. */
export function auxkLossOf(config: TrainConfig<SparsityName>): AuxkLoss | undefined {
  const { revive, auxk_loss } = listOptions(config);
  return revive === 'auxk' ? auxkLosses[auxk_loss!] : undefined;
}

/** Whether AuxK takes pre-activations of either sign. */
export function keepsSigns(config: TrainConfig<SparsityName>): boolean {
  return auxkLossOf(config)?.signed ?? false;
}

/** The most latents of a row that stay at any step, for which lists have room. Undefined if the kind of sparsity has no k. */
export function mostLatents(sizes: ModelConfig, config: TrainConfig<SparsityName>): number | undefined {
  const { k, k_decay = 0 } = listOptions(config);
  return k === undefined ? undefined : kAt(0, { k, k_decay }, sizes);
}

/**
 * Whether a model's training step takes its code as lists. It depends on nothing but the configuration, so that a snapshot
 * goes on anywhere: a list's sums have another order. Dead latents' own reconstruction, those by the first latents alone, and those of
 * latents that were multiplied by norms, are made of lists only. Tied weights are those of matrices.
 */
export function takesLists(sizes: ModelConfig, config: TrainConfig<SparsityName>): boolean {
  const { revive, rescale_acts_by_decoder_norm: rescaled } = listOptions(config);
  const k = mostLatents(sizes, config);
  const needed = config.sparsity === 'matryoshka' || revive === 'auxk' || rescaled;
  return hasLists(sizes) && k !== undefined && (needed || sizes.h_dims[0] >= leastLatents * k);
}

/** Makes a model select the latents that its training selects, with its decoder as the training step reads it. */
export async function prepareModel(model: Model, config: TrainConfig<SparsityName>): Promise<void> {
  model.selectFor(config);
  await model.storeDecoder(takesLists(model.config, config) ? 'by latents' : 'by outputs');
}
