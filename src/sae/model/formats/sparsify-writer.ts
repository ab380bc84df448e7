import { ModelFileError } from '../../errors.js';
import type { Parameters } from '../parameter.js';
import { safetensorsParts } from '../safetensors.js';
import { folded } from './fold.js';
import type { ImportedSae, SaeFiles } from './imported.js';

/**
 * The files of a model as sparsify saves them; decoder norms by which latents are multiplied are folded in.
 * @throws ModelFileError for what sparsify has not: other kinds than topk, and inputs from which b_dec is not subtracted.
 */
export function sparsifyFiles(model: ImportedSae): SaeFiles {
  const sae = folded(model);
  const { in_dims, latents, activation } = sae;
  if (activation.kind !== 'topk') {
    throw new ModelFileError(`The model is of the kind ${activation.kind}, and sparsify has topk alone.`);
  }
  if (!sae.pre_bias) {
    throw new ModelFileError(
      'The model does not subtract b_dec from its input, and every autoencoder of sparsify does.',
    );
  }
  const config = {
    activation: 'topk',
    expansion_factor: 0,
    // The decoder is to stay as it is.
    normalize_decoder: false,
    num_latents: latents,
    k: activation.k,
    multi_topk: false,
    skip_connection: false,
    transcode: false,
    d_in: in_dims,
  };
  const tensors: Parameters = new Map([
    ['W_dec', { shape: [latents, in_dims], data: sae.W_dec }],
    ['b_dec', { shape: [in_dims], data: sae.b_dec }],
    ['encoder.bias', { shape: [latents], data: sae.b_enc }],
    ['encoder.weight', { shape: [latents, in_dims], data: sae.W_enc }],
  ]);
  return new Map([
    ['cfg.json', [new TextEncoder().encode(JSON.stringify(config))]],
    ['sae.safetensors', [...safetensorsParts({ tensors, metadata: new Map() })]],
  ]);
}
