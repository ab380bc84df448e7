import type { ModelConfig } from '../config.js';
import { DataError } from '../errors.js';
import type { Parameters } from './parameter.js';

/** @throws DataError if weights are not tied, and the configuration says that they are. */
export function checkTied(config: ModelConfig, parameters: Parameters): void {
  if (isUntied(config, parameters)) {
    throw new DataError('The model is tied, and decoder.0.weight is not the transpose of encoder.0.weight.');
  }
}

/**
 * Whether the weights of a model whose configuration says that they are tied are not: those of its encoder layer,
 * [latents, in_dims], and those of its decoder layer, [in_dims, latents], its transpose. Both are kept, on the device and
 * in files, so that all that reads a model reads tied ones too.
 */
export function isUntied({ tied }: ModelConfig, parameters: Parameters): boolean {
  if (!tied) {
    return false;
  }
  const { data, shape } = parameters.get('encoder.0.weight')!;
  const { data: mirrored } = parameters.get('decoder.0.weight')!;
  const [latents, in_dims] = shape;
  for (let latent = 0; latent < latents; latent++) {
    for (let i = 0; i < in_dims; i++) {
      if (data[latent * in_dims + i] !== mirrored[i * latents + latent]) {
        return true;
      }
    }
  }
  return false;
}
