import { ModelFileError } from '../errors.js';
import { noNormalization } from '../rows/dataset.js';
import type { Selection } from '../sparsity/index.js';
import { foldNormalization } from './fold-normalization.js';
import { folded } from './formats/fold.js';
import type { ImportedActivation, ImportedSae } from './formats/index.js';
import type { Parameters } from './parameter.js';
import type { SavedModel } from './saved-model.js';
import { transposed } from './transposed.js';

/**
 * A model of this program that gives the same codes and reconstructions, of rows that are not normalised.
 */
export function modelOf(sae: ImportedSae): SavedModel {
  const { in_dims, latents, W_enc, b_enc, W_dec, b_dec, pre_bias } = sae;
  const parameters: Parameters = new Map([
    ['encoder.0.weight', { shape: [latents, in_dims], data: W_enc }],
    ['encoder.0.bias', { shape: [latents], data: b_enc }],
    ['decoder.0.weight', { shape: [in_dims, latents], data: transposed(W_dec, latents) }],
    ['decoder.0.bias', { shape: [in_dims], data: b_dec }],
  ]);
  const { selection: kept, thresholds } = selecting(sae.activation);
  const rescaled = sae.rescaled && { rescale_acts_by_decoder_norm: true as const };
  const selection = kept && { ...kept, ...rescaled };
  if (thresholds) {
    parameters.set('encoder.0.threshold', { shape: [thresholds.length], data: thresholds });
  }
  const config = { in_dims, h_dims: [latents], activation: 'relu' as const, ...(pre_bias && { pre_bias }) };
  return {
    config: { ...config, ...(selection && { selection }) },
    parameters,
    normalization: noNormalization,
    ...trainedWith(sae),
    ...(sae.notes.length > 0 && { notes: sae.notes }),
  };
}

/** Its files do not say how it was trained, except where the kind of its codes does. */
function trainedWith({ activation, rescaled }: ImportedSae): Pick<SavedModel, 'training'> {
  const rescale = rescaled && { rescale_acts_by_decoder_norm: true };
  switch (activation.kind) {
    case 'topk':
      return { training: { sparsity: 'topk', k: activation.k, ...rescale } };
    case 'batchtopk':
      return {
        training: {
          sparsity: 'batchtopk',
          ...(activation.k !== undefined && { k: activation.k }),
          ...rescale,
        },
      };
    case 'jumprelu':
      return { training: { sparsity: 'jumprelu' } };
    default:
      return {};
  }
}

/** How latents are selected, and the thresholds for that, if there are any. */
function selecting(activation: ImportedActivation): {
  readonly selection?: Selection;
  readonly thresholds?: Float32Array<ArrayBuffer>;
} {
  switch (activation.kind) {
    case 'relu':
      return {};
    case 'topk':
      return { selection: { topk: activation.k } };
    case 'batchtopk':
      return { selection: { threshold: 'shared' }, thresholds: Float32Array.of(activation.threshold) };
    case 'jumprelu':
      return { selection: { threshold: 'each' }, thresholds: activation.threshold };
  }
}

/**
 * A saved model as other programs know autoencoders. The normalisation of its rows is folded into its weights, so that
 * it takes rows as they are. Norms by which latents are multiplied are folded into them, too, as SAELens does in models
 * that it saves for inference.
 * @param source its name in messages.
 * @throws ModelFileError if it has several encoder layers, or sigmoids, or its rows are normalised one by one.
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
  const [W_enc, b_enc, W_dec, b_dec] = [
    'encoder.0.weight',
    'encoder.0.bias',
    'decoder.0.weight',
    'decoder.0.bias',
  ].map((name) => parameters.get(name)!.data);
  // Before rows are scaled: their scale is no part of the norms by which latents are multiplied.
  const sae = folded({
    tool: 'webgpu-sae',
    in_dims,
    latents,
    W_enc,
    b_enc,
    W_dec: transposed(W_dec, in_dims),
    b_dec,
    pre_bias,
    activation: activationOf(selection, parameters.get('encoder.0.threshold')?.data),
    ...(selection?.rescale_acts_by_decoder_norm && { rescaled: true }),
    notes: [],
    ignored: [],
  });
  return foldNormalization(sae, normalization, source);
}

function activationOf(
  selection: Selection | undefined,
  thresholds: Float32Array<ArrayBuffer> | undefined,
): ImportedActivation {
  if (selection === undefined) {
    return { kind: 'relu' };
  }
  if ('topk' in selection) {
    return { kind: 'topk', k: selection.topk };
  }
  const threshold = thresholds!.map((value) => Math.max(value, 0));
  return selection.threshold === 'each'
    ? { kind: 'jumprelu', threshold }
    : { kind: 'batchtopk', threshold: threshold[0] };
}
