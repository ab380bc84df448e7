import type { Parameters } from '../parameter.js';
import { safetensorsParts } from '../safetensors.js';
import { transposed } from '../transposed.js';
import { folded } from './fold.js';
import type { ImportedSae, SaeFiles } from './imported.js';

/** The version whose layout this is; SAELens takes files without one for its old layout. */
const layoutVersion = '6.39.0';

/**
 * The files of a model for inference as SAELens 6 saves them. A batchtopk model becomes one with jumprelu, of the same
 * threshold for every latent, and decoder norms by which latents are multiplied are folded in, as it does there.
 */
export function saelensFiles(model: ImportedSae): SaeFiles {
  const sae = folded(model);
  const { in_dims, latents, activation } = sae;
  const config = {
    architecture: architectureOf(activation),
    d_in: in_dims,
    d_sae: latents,
    dtype: 'float32',
    device: 'cpu',
    apply_b_dec_to_input: sae.pre_bias,
    normalize_activations: 'none',
    reshape_activations: 'none',
    ...(activation.kind === 'topk' && { k: activation.k, rescale_acts_by_decoder_norm: false }),
    metadata: { sae_lens_version: layoutVersion },
  };
  const threshold = thresholdsOf(sae);
  const tensors: Parameters = new Map([
    ['W_enc', { shape: [in_dims, latents], data: transposed(sae.W_enc, latents) }],
    ['W_dec', { shape: [latents, in_dims], data: sae.W_dec }],
    ['b_dec', { shape: [in_dims], data: sae.b_dec }],
    ['b_enc', { shape: [latents], data: sae.b_enc }],
    ...(threshold ? ([['threshold', { shape: [latents], data: threshold }]] as const) : []),
  ]);
  return new Map([
    ['cfg.json', [new TextEncoder().encode(JSON.stringify(config))]],
    ['sae_weights.safetensors', [...safetensorsParts({ tensors, metadata: new Map() })]],
  ]);
}

function architectureOf({ kind }: ImportedSae['activation']): string {
  if (kind === 'relu') return 'standard';
  return kind === 'batchtopk' ? 'jumprelu' : kind;
}

function thresholdsOf({ activation, latents }: ImportedSae): Float32Array<ArrayBuffer> | undefined {
  switch (activation.kind) {
    case 'jumprelu':
      return activation.threshold;
    case 'batchtopk':
      return new Float32Array(latents).fill(activation.threshold);
    default:
      return undefined;
  }
}
