import type { SaeFormat } from './format.js';
import { importedSae, type RawWeights } from './imported.js';
import type { Values } from './stored-tensor.js';
import type { Weights } from './weights.js';

const names = {
  encoder: 'encoder.final_block.0.weight',
  bias: 'encoder.final_block.0.bias',
  dictionary: 'dictionary._weights',
  multiplier: 'dictionary.multiplier',
  thresholds: 'thresholds',
} as const;

/** Added to the norms that dictionary atoms are divided by. */
const normEpsilon = 1e-8;

/**
 * overcomplete: https://github.com/KempnerInstitute/overcomplete. A state_dict does not say how codes are made, but
 * for JumpReLU, which has thresholds; nor how the dictionary is normalised, which is by L2 norms unless it was changed.
 */
export const overcomplete: SaeFormat = {
  tool: 'overcomplete',
  files: 'a state_dict with dictionary._weights and thresholds',
  async recognizes(folder) {
    return (await folder.onlyWeights())?.has(names.dictionary) ?? false;
  },
  async read(folder) {
    const tensors = (await folder.onlyWeights())!;
    if (!tensors.has(names.thresholds)) {
      tensors.fail(
        'its state_dict has no thresholds, and for other kinds than JumpReLU it does not say how codes are made: ReLU, TopK and ' +
          'BatchTopK have the same tensors.',
      );
    }
    const known = new Set<string>(Object.values(names));
    const other = [...tensors.tensors.keys()].find((name) => !known.has(name));
    if (other !== undefined) {
      tensors.fail(`it has the tensor ${other}, and an encoder of one linear layer was expected.`);
    }
    const weights = await readWeights(tensors);
    const logs = await tensors.read(names.thresholds, [weights.b_enc.length]);
    return importedSae(
      {
        tool: 'overcomplete',
        weights,
        pre_bias: false,
        activation: { kind: 'jumprelu', threshold: Float64Array.from(logs, Math.exp) },
        notes: [
          'Its dictionary is taken to be normalised by L2 norms, which is the default: a state_dict does not say it.',
        ],
        ignored: tensors.passedOver,
      },
      tensors.file,
    );
  },
};

async function readWeights(tensors: Weights): Promise<RawWeights> {
  const shape = tensors.sides(names.encoder);
  const [latents, in_dims] = shape;
  const scale = tensors.has(names.multiplier) ? Math.exp(await tensors.readNumber(names.multiplier)) : 1;
  return {
    W_enc: await tensors.read(names.encoder, shape),
    b_enc: await tensors.read(names.bias, [latents]),
    W_dec: normalised(await tensors.read(names.dictionary, shape), in_dims, scale),
    b_dec: new Float32Array(in_dims),
  };
}

/** Rows of that width divided by their norms, times `scale`, in place. */
function normalised(rows: Values, width: number, scale: number): Values {
  for (let start = 0; start < rows.length; start += width) {
    const row = rows.subarray(start, start + width);
    let sum = 0;
    for (const value of row) sum += value * value;
    const factor = scale / (Math.sqrt(sum) + normEpsilon);
    for (let i = 0; i < width; i++) row[i] *= factor;
  }
  return rows;
}
