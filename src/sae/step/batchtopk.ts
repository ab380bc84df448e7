import { padded, type Tensor } from '../../gpu/tensor.js';
import { addLayer } from '../model/forward.js';
import type { StepBuild } from './build.js';
import { addCodeSums } from './code-sums.js';
import type { CodingKernels } from './coding.js';
import type { Maxima } from './sparse/maxima.js';

/** Invocations per workgroup in `sparsity/batch_*.wgsl`, and the values of a digit there. */
const threads = 64;
const digitValues = 2048;
/** vec4s that an invocation counts, so that workgroups' counts are seldom added up. */
const vectorsEach = 64;
/** The places of the digits of an f32's bits, from the highest. */
const shifts = [21, 10, 0];

/** Provide which latents of a batch stay. */
export const batchCutFiles = ['sparse/relu_bits.wgsl', 'sparsity/batch_cut.wgsl'] as const;

/** The largest latents of a batch, as a matrix: see `src/sae/sparsity/batchtopk.ts`. */
export const batchtopk: CodingKernels = {
  measures: false,

  allocate: allocateBatchCut,

  async addCode(build, layer, below) {
    const { program, bindings, code } = build;
    await addLayer(program, layer, below, code);
    addBatchCut(build);
    const selecting = { files: [...batchCutFiles, 'sparsity/batch_select.wgsl'] };
    const groups = program.gpu.groups(Math.ceil(vectorsOf(code) / threads));
    program.add(selecting, { ...bindings, code }, [groups, 1]);
    addCodeSums(build);
  },
};

/** Makes what finds the smallest latent that stays. */
export function allocateBatchCut(build: StepBuild): void {
  build.makeBuffer('batch_cut', 'Where the selection of a batch cuts', 16);
  build.makeBuffer('batch_bound', 'A bound of that', 4);
  build.makeBuffer('digit_counts', "The counts of latents by their bits' digits", digitValues * 4);
  build.makeKeptBuffer('threshold_weight', 'The weight of all batches in the running threshold', 4);
}

function vectorsOf(code: Tensor): number {
  return (padded(code.rows) * padded(code.columns)) / 4;
}

/** What `addBatchCut` takes of a step. */
type Cutting = Pick<StepBuild, 'program' | 'bindings' | 'code'> & {
  readonly model: { readonly threshold: Tensor | undefined };
};

/**
 * Appends what finds the smallest latent of the batch that stays, and moves the model's threshold towards it.
 * @param follows false where the code is a part of a batch, whose smallest one the threshold does not follow.
 * @param maxima the code's, if they are known.
 */
export function addBatchCut(
  { program, bindings, code, model }: Cutting,
  { follows = true, maxima }: { readonly follows?: boolean; readonly maxima?: Maxima | undefined } = {},
): void {
  const { gpu } = program;
  const columnBlocks = padded(code.columns) / 4;
  const head = ['metrics/step.wgsl', ...batchCutFiles];
  const files = (...names: string[]) => ({ files: [...head, ...names] });
  const groups = (vectors: number) => [gpu.groups(Math.ceil(vectors / threads / vectorsEach)), 1] as const;
  const ofAll = files('sparsity/batch_all.wgsl', 'sparsity/batch_histogram.wgsl');
  const ofReaching = files('sparse/maxima.wgsl', 'sparse/batch_maxima.wgsl', 'sparsity/batch_histogram.wgsl');
  const finding = files('sparsity/batch_digit.wgsl');
  if (maxima) {
    const { maxima: layout, code_maxima } = maxima;
    const digit = new Uint32Array([layout[1], shifts[0], 0]);
    const own = { ...bindings, code: code_maxima, digit };
    program.add(ofAll, own, groups(padded(code.rows) * layout[1]));
    program.add({ ...finding, constants: { bounding: 1 } }, { ...bindings, digit }, [1, 1]);
  }
  let places = 0;
  for (const shift of shifts) {
    const digit = new Uint32Array([columnBlocks, shift, places]);
    const own = { ...bindings, ...maxima, code, digit };
    const vectors = maxima ? padded(code.rows) * maxima.maxima[1] : vectorsOf(code);
    program.add(maxima ? ofReaching : ofAll, own, groups(vectors));
    program.add(finding, { ...bindings, digit }, [1, 1]);
    places = (-1 << shift) >>> 0;
  }
  const own = { batch: new Uint32Array([columnBlocks]), thresholds: model.threshold! };
  // One workgroup may have to look through a whole code.
  const workgroup_size = gpu.software ? threads : 4 * threads;
  const last = {
    ...files('sparsity/batch_last.wgsl'),
    constants: { follows: follows ? 1 : 0, workgroup_size },
  };
  program.add(last, { ...bindings, ...own, code }, [1, 1]);
}
