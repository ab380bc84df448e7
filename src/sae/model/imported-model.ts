import { ModelFileError } from '../errors.js';
import { noNormalization } from '../rows/dataset.js';
import type { Selection } from '../sparsity/index.js';
import type { ImportedActivation, ImportedSae } from './formats/index.js';
import type { Parameters } from './parameter.js';
import type { SavedModel } from './saved-model.js';
import { transposed } from './transposed.js';

/**
 * A model of this program that gives the same codes and reconstructions, of rows that are not normalised.
 * @param source its name in messages.
 * @throws ModelFileError if its latents are kept above thresholds, which models of this program do not have yet.
 */
export function modelOf(sae: ImportedSae, source: string): SavedModel {
  const { in_dims, latents, W_enc, b_enc, W_dec, b_dec, pre_bias } = sae;
  const parameters: Parameters = new Map([
    ['encoder.0.weight', { shape: [latents, in_dims], data: W_enc }],
    ['encoder.0.bias', { shape: [latents], data: b_enc }],
    ['decoder.0.weight', { shape: [in_dims, latents], data: transposed(W_dec, latents) }],
    ['decoder.0.bias', { shape: [in_dims], data: b_dec }],
  ]);
  const config = { in_dims, h_dims: [latents], activation: 'relu' as const, ...(pre_bias && { pre_bias }) };
  return {
    config: { ...config, ...selecting(sae.activation, source) },
    parameters,
    normalization: noNormalization,
  };
}

function selecting(activation: ImportedActivation, source: string): { readonly selection?: Selection } {
  switch (activation.kind) {
    case 'relu':
      return {};
    case 'topk':
      return { selection: { topk: activation.k } };
    default: {
      const { threshold } = activation;
      // Above 0 is what ReLU keeps.
      if ([threshold].flat().every((value) => value === 0)) {
        return {};
      }
      throw new ModelFileError(
        `${source} cannot be imported yet: it keeps latents above thresholds (${activation.kind}), and models of this program have none.`,
      );
    }
  }
}

/**
 * A saved model as other programs know autoencoders. The normalisation of its rows is folded into its weights, so that
 * it takes rows as they are: W_enc / std, std W_dec, std b_dec + mean, and without `pre_bias` b_enc - W_enc mean / std.
 * @param source its name in messages.
 * @throws ModelFileError if it has several encoder layers, or sigmoids.
 */
export function importedOf({ config, parameters, normalization }: SavedModel, source: string): ImportedSae {
  const { in_dims, h_dims, activation, selection, pre_bias = false } = config;
  if (h_dims.length > 1) {
    throw new ModelFileError(
      `${source} has ${h_dims.length} encoder layers, and other programs' autoencoders have one.`,
    );
  }
  if (activation !== 'relu') {
    throw new ModelFileError(`${source} has the activation ${activation}, and other programs have relu.`);
  }
  const [latents] = h_dims;
  const { mean, std } = normalization ?? noNormalization;
  const [W_enc, b_enc, W_dec, b_dec] = [
    'encoder.0.weight',
    'encoder.0.bias',
    'decoder.0.weight',
    'decoder.0.bias',
  ].map((name) => parameters.get(name)!.data);
  return {
    tool: 'webgpu-sae',
    in_dims,
    latents,
    W_enc: W_enc.map((value) => value / std),
    b_enc: pre_bias
      ? b_enc
      : b_enc.map((bias, i) => bias - (sumOf(W_enc, i * in_dims, in_dims) * mean) / std),
    W_dec: transposed(W_dec, in_dims).map((value) => value * std),
    b_dec: b_dec.map((value) => value * std + mean),
    pre_bias,
    activation: selection ? { kind: 'topk', k: selection.topk } : { kind: 'relu' },
    notes: [],
    ignored: [],
  };
}

function sumOf(values: Float32Array, first: number, count: number): number {
  let sum = 0;
  for (let i = first; i < first + count; i++) {
    sum += values[i];
  }
  return sum;
}
