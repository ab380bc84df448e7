import { parseModelConfig, parseTrainConfig } from '../../../dist/sae/config.js';
import { ConfigError } from '../../../dist/sae/errors.js';
import { fixture } from '../files.mjs';

const model = parseModelConfig({ in_dims: 8, h_dims: [4] });

// Options, as a file in JSON or a library's caller has them.
export default {
  seeds: () => [
    ...fixture(['formats/*/c*.json']),
    ...[
      { in_dims: 784, h_dims: [20], activation: 'relu', tied: true, pre_bias: true },
      { in_dims: 8, h_dims: [16], selection: { kind: 'topk', k: 4 } },
      { sparsity: 'topk', k: 4, epochs: 2, batch_size: 64, lr: 0.001, seed: 1 },
      { sparsity: 'l1', sparsity_lambda: 0.1, betas: [0.9, 0.999], optimizer: 'adam' },
    ].map((options) => Buffer.from(JSON.stringify(options))),
  ],
  read(input) {
    let options;
    try {
      options = JSON.parse(input.toString());
    } catch {
      return;
    }
    let refused;
    for (const parse of [parseModelConfig, parseTrainConfig, (given) => parseTrainConfig(given, model)]) {
      try {
        parse(options);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        refused = error;
      }
    }
    if (refused) throw refused;
  },
};
