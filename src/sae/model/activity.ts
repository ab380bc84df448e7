import type { ModelConfig } from '../config.js';

/** A latent is active where its activation is above this. */
export function activeAbove({ activation }: Pick<ModelConfig, 'activation'>): number {
  return activation === 'sigmoid' ? 0.5 : 0;
}

/** Dense are latents that are active for more than this share of the rows. */
export const denseAbove = 0.1;
