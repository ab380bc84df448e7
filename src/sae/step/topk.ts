import { addLayer } from '../model/forward.js';
import { addTopK } from '../model/selection.js';
import { addCodeSums } from './code-sums.js';
import type { CodingKernels } from './coding.js';

/** The largest latents of each row, of which there may be more than in the trained model: see `src/sae/sparsity/k.ts`. */
export const topk: CodingKernels = {
  measures: false,

  allocate() {},

  async addCode(build, layer, below) {
    const { program, bindings, code } = build;
    await addLayer(program, layer, below, code);
    addTopK(program, code, ['metrics/step.wgsl', 'sparsity/step_k.wgsl'], bindings);
    addCodeSums(build);
  },
};
