import { z } from 'zod';
import { refuse } from './bytes.js';
import { otherFields, parseFields, type SaeFormat } from './format.js';
import { importedSae } from './imported.js';

const configFile = 'cfg.json';
const weightsFile = 'sae.safetensors';

const count = z.number().int().min(0);
const schema = z.object({
  d_in: count,
  k: count,
  num_latents: count.default(0),
  expansion_factor: count.default(32),
  activation: z.string().default('topk'),
  signed: z.boolean().default(false),
  skip_connection: z.boolean().default(false),
  transcode: z.boolean().default(false),
});

/** sparsify: https://github.com/EleutherAI/sparsify. encoder.weight and W_dec are [latents, d_in]. */
export const sparsify: SaeFormat = {
  tool: 'sparsify',
  files: `${configFile} with ${weightsFile}`,
  // The name alone would not do: models of this program are saved under it.
  recognizes: async (folder) =>
    folder.has(weightsFile) && (await folder.weights(weightsFile)).has('encoder.weight', 'W_dec'),
  async read(folder) {
    const source = folder.place(configFile);
    const fields = await folder.json(configFile);
    const config = parseFields(schema, fields, source);
    if (config.activation !== 'topk') {
      refuse(source, `its activation is ${config.activation}, and topk was expected.`);
    }
    if (config.signed)
      refuse(source, 'it keeps the largest magnitudes of either sign, and topk keeps what is above 0.');
    const tensors = await folder.weights(weightsFile);
    if (config.transcode || config.skip_connection || tensors.has('W_skip')) {
      refuse(source, 'it is a transcoder or has a skip connection, and an autoencoder was expected.');
    }
    const in_dims = config.d_in;
    // No number of latents means a multiple of the inputs.
    const latents = config.num_latents || in_dims * config.expansion_factor;
    return importedSae(
      {
        tool: 'sparsify',
        weights: {
          W_enc: await tensors.read('encoder.weight', [latents, in_dims]),
          b_enc: await tensors.read('encoder.bias', [latents]),
          W_dec: await tensors.read('W_dec', [latents, in_dims]),
          b_dec: await tensors.read('b_dec', [in_dims]),
        },
        pre_bias: true,
        activation: { kind: 'topk', k: config.k },
        notes: [],
        ignored: [...otherFields(fields, schema), ...tensors.passedOver],
      },
      source,
    );
  },
};
