import type { Bindings, Program } from '../../gpu/program.js';
import { padded, type Tensor } from '../../gpu/tensor.js';
import { addLayer } from '../model/forward.js';
import { addCodeSums } from './code-sums.js';
import type { CodingKernels } from './coding.js';

/** Invocations per workgroup in `sparsity/batch_*.wgsl`, and the values of a digit there. */
const threads = 64;
const digitValues = 2048;
/** vec4s that an invocation counts, so that workgroups' counts are seldom added up. */
const vectorsEach = 64;
/** The places of the digits of an f32's bits, from the highest. */
const shifts = [21, 10, 0];

/** The largest latents of a batch: see `src/sae/sparsity/batchtopk.ts`. */
export const batchtopk: CodingKernels = {
  measures: false,

  allocate(build) {
    build.makeBuffer('batch_cut', 'Where the selection of a batch cuts', 16);
    build.makeBuffer('digit_counts', "The counts of latents by their bits' digits", digitValues * 4);
    build.makeKeptBuffer('threshold_weight', 'The weight of all batches in the running threshold', 4);
  },

  async addCode(build, layer, below) {
    await addLayer(build.program, layer, below, build.code);
    const { program, bindings, code } = build;
    addBatchSelection(program, code, { ...bindings, thresholds: build.model.threshold! });
    addCodeSums(build);
  },
};

/**
 * Appends the selection of the largest latents of a batch [rows, latents], in place.
 * @param bindings what `sparsity/batch_*.wgsl` bind besides.
 */
export function addBatchSelection(program: Program, code: Tensor, bindings: Bindings): void {
  const { gpu } = program;
  const columnBlocks = padded(code.columns) / 4;
  const vectors = padded(code.rows) * columnBlocks;
  const head = ['metrics/step.wgsl', 'sparsity/batch_cut.wgsl'];
  const files = (name: string) => ({ files: [...head, `sparsity/${name}.wgsl`] });
  let places = 0;
  for (const [i, shift] of shifts.entries()) {
    const digit = new Uint32Array([columnBlocks, shift, places]);
    const groups = gpu.groups(Math.ceil(vectors / threads / vectorsEach));
    program.add(files('batch_histogram'), { ...bindings, code, digit }, [groups, 1]);
    program.add(files('batch_digit'), { ...bindings, digit }, [1, 1]);
    places |= i === 0 ? -1 << shift : (1 << shifts[i - 1]) - (1 << shift);
    places >>>= 0;
  }
  const batch = new Uint32Array([columnBlocks]);
  program.add(files('batch_last'), { ...bindings, code, batch }, [1, 1]);
  const selecting = { files: ['sparsity/batch_cut.wgsl', 'sparsity/batch_select.wgsl'] };
  program.add(selecting, { ...bindings, code }, [gpu.groups(Math.ceil(vectors / threads)), 1]);
}
