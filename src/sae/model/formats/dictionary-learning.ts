import { z } from 'zod';
import type { ModelFolder } from './folder.js';
import { otherFields, parseFields, type SaeFormat } from './format.js';
import { importedSae, type RawSae, type RawWeights } from './imported.js';
import type { Values } from './stored-tensor.js';
import { type Weights, weightsOf } from './weights.js';

const configFile = 'config.json';
const weightsFile = 'ae.pt';

/** How a class of dictionary_learning keeps its weights, and what it does with them. */
interface Layout {
  /** [latents, in_dims] as nn.Linear has it, or W_enc [in_dims, latents]. */
  readonly encoder: 'encoder.weight' | 'W_enc';
  readonly encoderBias: string;
  /** decoder.weight is [in_dims, latents]; W_dec is [latents, in_dims]. */
  readonly decoder: 'decoder.weight' | 'W_dec';
  readonly decoderBias: string;
  readonly pre_bias: boolean;
  readonly kind: RawSae['activation']['kind'];
  /** A name that only this class has, where there is one. */
  readonly mark?: string;
}

const linear = { encoder: 'encoder.weight', encoderBias: 'encoder.bias', decoder: 'decoder.weight' } as const;
const matrices = { encoder: 'W_enc', encoderBias: 'b_enc', decoder: 'W_dec', decoderBias: 'b_dec' } as const;
const topk = { ...linear, decoderBias: 'b_dec', pre_bias: true } as const;

const layouts: Readonly<Record<string, Layout>> = {
  AutoEncoder: { ...linear, decoderBias: 'bias', pre_bias: true, kind: 'relu', mark: 'bias' },
  AutoEncoderNew: {
    ...linear,
    decoderBias: 'decoder.bias',
    pre_bias: false,
    kind: 'relu',
    mark: 'decoder.bias',
  },
  AutoEncoderTopK: { ...topk, kind: 'topk' },
  BatchTopKSAE: { ...topk, kind: 'batchtopk' },
  MatryoshkaBatchTopKSAE: { ...matrices, pre_bias: true, kind: 'batchtopk', mark: 'group_sizes' },
  JumpReluAutoEncoder: { ...matrices, pre_bias: false, kind: 'jumprelu' },
};

const trainer = z.object({
  dict_class: z.string(),
  activation_dim: z.number().optional(),
  dict_size: z.number().optional(),
});
const schema = z.object({ trainer: z.looseObject(trainer.shape) });

/** dictionary_learning: https://github.com/saprmarks/dictionary_learning. */
export const dictionaryLearning: SaeFormat = {
  tool: 'dictionary_learning',
  files: `${weightsFile} with ${configFile}`,
  async recognizes(folder) {
    if (folder.has(weightsFile)) return true;
    const weights = await folder.onlyWeights();
    if (weights?.container !== 'torch' || weights.head) return false;
    return weights.entries.get('ae') instanceof Map || guessedClass(weights) !== undefined;
  },
  async read(folder) {
    const file = folder.has(weightsFile) ? await folder.weights(weightsFile) : (await folder.onlyWeights())!;
    const { weights, factor } = await stateOf(file);
    const { name, ignored } = await classOf(folder, weights);
    const layout = layouts[name] ?? unknownClass(weights, name);
    const tensors = await readWeights(weights, layout);
    const notes: string[] = [];
    const activation = await readActivation(weights, layout, tensors, notes);
    if (factor !== undefined) notes.push(`The scale of its training rows, ${factor}, is folded in.`);
    return importedSae(
      {
        tool: 'dictionary_learning',
        weights: tensors,
        pre_bias: layout.pre_bias,
        activation: factor === undefined ? activation : foldRowScale(tensors, activation, factor),
        notes,
        ignored: [...ignored, ...weights.passedOver],
      },
      file.file,
    );
  },
};

/** A backup of a training has the model inside it, and the factor that its rows were divided by. */
async function stateOf(file: Weights): Promise<{ weights: Weights; factor?: number }> {
  const inner = file.entries.get('ae');
  if (!(inner instanceof Map)) return { weights: file };
  const weights = weightsOf(inner, file.file);
  const factor = file.has('norm_factor')
    ? await file.readNumber('norm_factor')
    : (file.entries.get('norm_factor') ?? undefined);
  if (factor === undefined) return { weights };
  return typeof factor === 'number' && factor > 0
    ? { weights, factor }
    : file.fail('its norm_factor is not a number above 0.');
}

/** The class, of config.json or, without one, of names that only one class has. */
async function classOf(
  folder: ModelFolder,
  weights: Weights,
): Promise<{ name: string; ignored: readonly string[] }> {
  if (folder.has(configFile)) {
    const fields = parseFields(schema, await folder.json(configFile), folder.place(configFile)).trainer;
    return { name: fields.dict_class, ignored: otherFields(fields, trainer) };
  }
  const name =
    guessedClass(weights) ??
    weights.fail(
      `its tensors do not tell its class, and ${configFile} is not beside it; there are ${weights.names()}. ` +
        `Give the folder that ${configFile} is in.`,
    );
  return { name, ignored: [] };
}

/** TopK and BatchTopK have the same tensors; they are one guess, which `classOf` refuses. */
function guessedClass(weights: Weights): string | undefined {
  if (weights.has('r_mag', 'gate_bias')) return 'GatedAutoEncoder';
  const marked = Object.entries(layouts).find(([, { mark, encoder }]) => mark && weights.has(mark, encoder));
  return (
    marked?.[0] ??
    (weights.has('W_enc', 'threshold') && !weights.has('k') ? 'JumpReluAutoEncoder' : undefined)
  );
}

function unknownClass(weights: Weights, name: string): never {
  return weights.fail(
    name === 'GatedAutoEncoder'
      ? 'it is gated: one path decides which latents are active and another how much, which no single encoder does.'
      : `its class is ${name}; ${Object.keys(layouts).join(', ')} were expected.`,
  );
}

async function readWeights(weights: Weights, layout: Layout): Promise<RawWeights> {
  const { encoder, decoder } = layout;
  const sides = weights.sides(encoder);
  const [latents, in_dims] = encoder === 'W_enc' ? sides.toReversed() : sides;
  const shape = [latents, in_dims] as const;
  return {
    W_enc: await (encoder === 'W_enc'
      ? weights.readTransposed(encoder, shape)
      : weights.read(encoder, shape)),
    b_enc: await weights.read(layout.encoderBias, [latents]),
    W_dec: await (decoder === 'W_dec'
      ? weights.read(decoder, shape)
      : weights.readTransposed(decoder, shape)),
    b_dec: await weights.read(layout.decoderBias, [in_dims]),
  };
}

async function readActivation(
  weights: Weights,
  { kind }: Layout,
  { b_enc }: RawWeights,
  notes: string[],
): Promise<RawSae['activation']> {
  switch (kind) {
    case 'relu':
      return { kind };
    case 'topk':
      return { kind, k: await weights.readNumber('k') };
    case 'jumprelu':
      return { kind, threshold: await weights.read('threshold', [b_enc.length]) };
    case 'batchtopk': {
      const threshold = await weights.readNumber('threshold');
      if (threshold < 0)
        notes.push(`Its threshold is ${threshold}, so it was never set: every positive latent is kept.`);
      return { kind, threshold, k: await weights.readNumber('k') };
    }
  }
}

/**
 * Makes a model of rows divided by `factor` one of the rows themselves, as its own program does at the end of a training:
 * weights stay, and biases (in place) and thresholds grow with the rows.
 */
function foldRowScale(
  { b_enc, b_dec }: RawWeights,
  activation: RawSae['activation'],
  factor: number,
): RawSae['activation'] {
  const grow = (values: Values) => {
    for (let i = 0; i < values.length; i++) values[i] *= factor;
    return values;
  };
  grow(b_enc);
  grow(b_dec);
  switch (activation.kind) {
    case 'jumprelu':
      return { kind: 'jumprelu', threshold: grow(activation.threshold) };
    case 'batchtopk':
      return { ...activation, threshold: activation.threshold * factor };
    default:
      return activation;
  }
}
