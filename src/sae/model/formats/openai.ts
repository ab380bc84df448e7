import type { SaeFormat } from './format.js';
import { importedSae, type RawWeights } from './imported.js';
import type { Weights } from './weights.js';

/** OpenAI's: https://github.com/openai/sparse_autoencoder. encoder.weight [latents, d], decoder.weight [d, latents]. */
export const openai: SaeFormat = {
  tool: 'sparse_autoencoder (OpenAI)',
  files: 'a .pt file with pre_bias and latent_bias',
  async recognizes(folder) {
    return (await folder.onlyWeights())?.has('pre_bias', 'latent_bias') ?? false;
  },
  async read(folder) {
    const tensors = (await folder.onlyWeights())!;
    const activation = tensors.entries.get('activation');
    if (activation === 'TopK') {
      // Its own loader normalises wherever the activation is TopK.
      tensors.fail(
        'its activation is TopK, before which it subtracts its mean from each input row and divides by its standard deviation: that ' +
          'cannot be folded into weights.',
      );
    }
    if (activation !== 'ReLU') {
      tensors.fail(`its activation is ${String(activation).slice(0, 40)}, and ReLU was expected.`);
    }
    return importedSae(
      {
        tool: 'sparse_autoencoder (OpenAI)',
        weights: await readWeights(tensors),
        pre_bias: true,
        activation: { kind: 'relu' },
        notes: [],
        ignored: tensors.passedOver,
      },
      tensors.file,
    );
  },
};

async function readWeights(tensors: Weights): Promise<RawWeights> {
  const shape = tensors.sides('encoder.weight');
  const [latents, in_dims] = shape;
  // Where weights are tied the decoder holds the encoder's layer, whose rows are the directions.
  const tied = tensors.has('decoder.linear.weight');
  return {
    W_enc: await tensors.read('encoder.weight', shape),
    b_enc: await tensors.read('latent_bias', [latents]),
    W_dec: await (tied
      ? tensors.read('decoder.linear.weight', shape)
      : tensors.readTransposed('decoder.weight', shape)),
    b_dec: await tensors.read('pre_bias', [in_dims]),
  };
}
