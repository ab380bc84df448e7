import { parseModelConfig } from '../../../dist/sae/config.js';
import { bytesInMemory } from '../../../dist/sae/model/formats/bytes.js';
import { decodeModel, encodeModel, isOurModel, readModel } from '../../../dist/sae/model/saved-model.js';
import { fixture } from '../files.mjs';

const values = (count) => Float32Array.from({ length: count }, (_, i) => i / 8);

/** A model of this program. */
const own = encodeModel({
  config: parseModelConfig({ in_dims: 3, h_dims: [2] }),
  parameters: new Map([
    ['encoder.0.weight', { shape: [2, 3], data: values(6) }],
    ['encoder.0.bias', { shape: [2], data: values(2) }],
    ['decoder.0.weight', { shape: [3, 2], data: values(6) }],
    ['decoder.0.bias', { shape: [3], data: values(3) }],
  ]),
  normalization: { kind: 'standardize', mean: values(3), std: values(3).fill(1) },
  training: { sparsity: 'l1', epochs: 2 },
});

export default {
  seeds: () => [Buffer.from(own), ...fixture(['**/*.safetensors'])],
  async read(input) {
    isOurModel(input);
    await readModel(bytesInMemory(input), 'model.safetensors').catch(() => {});
    const model = decodeModel(input, 'model.safetensors');
    // What was read can be written, and is the same again.
    decodeModel(encodeModel(model), 'model.safetensors');
  },
};
