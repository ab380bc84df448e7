import { flag, option } from '../options.js';
import { checkLists, type ModelShape, type Selection } from './sparsity.js';

/**
 * For kinds that select latents, as SAELens has it: latents are multiplied by the norms of their decoder directions before they are
 * selected, and divided by these before the decoder. So those stay that add most to the reconstruction, whatever norms training gives
 * their directions; codes and thresholds are what they would be with directions of norm 1. The norms cancel out of reconstructions,
 * and so does their gradient.
 */
export const rescale = option(flag('rescale_acts_by_decoder_norm').default(false), {
  description: 'select latents by their values times the norms of their decoder directions',
  label: 'Rescaled by decoder norm',
});

interface RescaleOptions {
  readonly rescale_acts_by_decoder_norm: boolean;
}

/** That part of a selection. */
export function rescaling({
  rescale_acts_by_decoder_norm: rescaled,
}: RescaleOptions): Pick<Selection, 'rescale_acts_by_decoder_norm'> {
  return rescaled ? { rescale_acts_by_decoder_norm: true } : {};
}

/** @throws ConfigError for it with several layers, or tied weights. */
export function checkRescale(
  { rescale_acts_by_decoder_norm: rescaled }: RescaleOptions,
  model: ModelShape | undefined,
): void {
  if (rescaled) {
    checkLists('rescale_acts_by_decoder_norm', model);
  }
}
