import { z } from 'zod';
import { refuse } from './bytes.js';
import { decoderNorms, foldScales } from './fold.js';
import type { ModelFolder } from './folder.js';
import { parseFields, type SaeFormat } from './format.js';
import { importedSae, type RawSae, type RawWeights } from './imported.js';
import { parseSaelensConfig, type SaelensConfig } from './saelens-config.js';
import type { Weights } from './weights.js';

const configFile = 'cfg.json';
const weightsFile = 'sae_weights.safetensors';
/** Beside the weights of a checkpoint, whose factor is not folded in yet. */
const scalerFile = 'activation_scaler.json';

/** SAELens, version 6 and before: https://github.com/decoderesearch/SAELens. W_enc [d_in, d_sae], W_dec [d_sae, d_in]. */
export const saelens: SaeFormat = {
  tool: 'SAELens',
  files: `${configFile} with ${weightsFile}`,
  recognizes: async (folder) => folder.has(weightsFile),
  async read(folder) {
    const source = folder.place(configFile);
    const config = parseSaelensConfig(await folder.json(configFile), source);
    const factor = await inputFactor(folder, config);
    const tensors = await folder.weights(weightsFile);
    const weights = await readWeights(tensors, config);
    const notes: string[] = [];

    const activation = await readActivation(tensors, config, notes);
    await foldFinetuning(tensors, config, weights, notes);
    // With the scale of the inputs in it, the decoder's norms are not those by which latents are multiplied.
    const folded = config.rescaled && factor !== undefined;
    if (folded)
      notes.push('The norms of the decoder directions, by which latents are multiplied, are folded in.');
    if (factor !== undefined) {
      notes.push(`The scale of its inputs, ${factor}, is folded in.`);
      foldScales(weights, factor, folded ? decoderNorms(weights.W_dec, config.in_dims) : undefined);
    }
    return importedSae(
      {
        tool: 'SAELens',
        ...(config.version !== undefined && { tool_version: config.version }),
        weights,
        pre_bias: config.pre_bias,
        activation,
        ...(config.rescaled && !folded && { rescaled: true }),
        notes,
        ignored: [...config.ignored, ...tensors.passedOver],
      },
      source,
    );
  },
};

async function readWeights(tensors: Weights, { in_dims, latents }: SaelensConfig): Promise<RawWeights> {
  return {
    W_enc: await tensors.readTransposed('W_enc', [latents, in_dims]),
    b_enc: await tensors.read('b_enc', [latents]),
    W_dec: await tensors.read('W_dec', [latents, in_dims]),
    b_dec: await tensors.read('b_dec', [in_dims]),
  };
}

async function readActivation(
  tensors: Weights,
  { kind, latents, k }: SaelensConfig,
  notes: string[],
): Promise<RawSae['activation']> {
  switch (kind) {
    case 'relu':
      return { kind };
    case 'topk':
      return { kind, k: k ?? tensors.fail('its configuration has no k.') };
    case 'jumprelu':
      return { kind, threshold: await tensors.read('threshold', [latents]) };
    case 'batchtopk': {
      // Of the rescaled latents, as the weights are once their norms are folded in.
      const threshold = await tensors.readNumber('topk_threshold');
      if (threshold <= 0) notes.push('Its threshold was never set: every positive latent is kept.');
      return { kind, threshold, ...(k !== undefined && { k }) };
    }
  }
}

/** The factor of a checkpoint's inputs; undefined if it has none. */
async function inputFactor(folder: ModelFolder, config: SaelensConfig): Promise<number | undefined> {
  const source = folder.place(scalerFile);
  const scaler = folder.has(scalerFile)
    ? parseFields(
        z.object({
          scaling_factor: z.number().positive().nullable(),
          has_whitening: z.boolean().default(false),
        }),
        await folder.json(scalerFile),
        source,
      )
    : undefined;
  if (scaler?.has_whitening) refuse(source, 'it whitens its inputs, and nothing but a scale was expected.');
  const factor = scaler?.scaling_factor ?? undefined;
  if (config.scaled_input === (factor !== undefined)) return factor;
  return config.scaled_input
    ? refuse(
        folder.place(configFile),
        `its inputs are to be scaled (normalize_activations expected_average_only_in), and the factor is not there: ${scalerFile} ` +
          'with its scaling_factor was expected. A model that SAELens saved after training has it folded in.',
      )
    : refuse(source, `it has the factor ${factor}, and ${configFile} says that inputs are not scaled.`);
}

/** Versions before 6 could multiply latents before the decoder, to make up for shrinkage. */
async function foldFinetuning(
  tensors: Weights,
  { finetuned, latents, in_dims }: SaelensConfig,
  { W_dec }: RawWeights,
  notes: string[],
): Promise<void> {
  if (!tensors.has('scaling_factor')) return;
  const factors = await tensors.read('scaling_factor', [latents]);
  if (factors.every((factor) => factor === 1)) return;
  if (!finetuned) {
    tensors.fail('its tensor scaling_factor is not all 1, and cfg.json has no finetuning_scaling_factor.');
  }
  for (let i = 0; i < W_dec.length; i++) W_dec[i] *= factors[Math.floor(i / in_dims)];
  notes.push('The factors of its finetuning are folded into the decoder.');
}
