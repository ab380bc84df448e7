import type { SaeFormat } from './format.js';
import { importedSae } from './imported.js';
import type { Weights } from './weights.js';

/** The names of params.npz, and those of the second release's safetensors files. */
const releases = [
  { W_enc: 'W_enc', b_enc: 'b_enc', W_dec: 'W_dec', b_dec: 'b_dec', threshold: 'threshold' },
  { W_enc: 'w_enc', b_enc: 'b_enc', W_dec: 'w_dec', b_dec: 'b_dec', threshold: 'threshold' },
] as const;

/** Gemma Scope: https://arxiv.org/abs/2408.05147. W_enc [d, latents], W_dec [latents, d]; b_dec is not subtracted. */
export const gemmaScope: SaeFormat = {
  tool: 'Gemma Scope',
  files: 'params.npz or a safetensors file with W_enc, b_enc, W_dec, b_dec and threshold',
  async recognizes(folder) {
    const tensors = await folder.onlyWeights();
    return tensors !== undefined && tensors.container !== 'torch' && releaseOf(tensors) !== undefined;
  },
  async read(folder) {
    const tensors = (await folder.onlyWeights())!;
    const names = releaseOf(tensors)!;
    const [in_dims, latents] = tensors.sides(names.W_enc);
    const weights = {
      W_enc: await tensors.readTransposed(names.W_enc, [latents, in_dims]),
      b_enc: await tensors.read(names.b_enc, [latents]),
      W_dec: await tensors.read(names.W_dec, [latents, in_dims]),
      b_dec: await tensors.read(names.b_dec, [in_dims]),
    };
    const threshold = await tensors.read(names.threshold, [latents]);
    const [other] = tensors.passedOver;
    if (other !== undefined) {
      tensors.fail(`it has the tensor ${other}, as transcoders have, and an autoencoder was expected.`);
    }
    return importedSae(
      {
        tool: 'Gemma Scope',
        weights,
        pre_bias: false,
        activation: { kind: 'jumprelu', threshold },
        notes: [
          'Its file does not tell autoencoders from transcoders, nor those of the token embeddings, whose rows have to be divided by ' +
            'the square root of their width.',
        ],
        ignored: [],
      },
      tensors.file,
    );
  },
};

function releaseOf(tensors: Weights): (typeof releases)[number] | undefined {
  return releases.find((names) => tensors.has(...Object.values(names)));
}
