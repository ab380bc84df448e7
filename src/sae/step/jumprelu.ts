import { padded } from '../../gpu/tensor.js';
import type { TrainConfig } from '../config.js';
import { addLayer } from '../model/forward.js';
import type { StepBuild } from './build.js';
import { codeBlocks } from './code-sums.js';
import type { CodingKernels } from './coding.js';
import { gradientOf } from './update.js';

/** Invocations per workgroup in `sparsity/jumprelu_*.wgsl`, `sparsity/decoder_norms.wgsl` and `metrics/silent.wgsl`. */
const threads = 64;
/** Rows that an invocation of `sparsity/jumprelu_gradient.wgsl` takes. */
const rowsEach = 32;
/** Bytes of `struct ThresholdShare` in `sparsity/jumprelu_share.wgsl`. */
const shareBytes = 64;

/** Latents above thresholds that are trained: see `src/sae/sparsity/jumprelu.ts`. */
export const jumprelu: CodingKernels = {
  measures: true,

  allocate(build) {
    const { model, rows, update } = build;
    const latents = padded(model.hidden);
    const code = [rows, model.hidden];
    build.makeTensor('pre_activations', code, `A batch's pre-activations [${code}]`);
    const sums = `The sums over a batch's pre-activations [${code}]`;
    build.makeBuffer('pre_act_sums', sums, (padded(rows) / 4) * latents * 4);
    if (update) {
      const shares = rowGroups(build) * (latents / 4) * shareBytes;
      build.makeBuffer('threshold_shares', "Shares of the thresholds' gradients", shares);
    }
  },

  async addCode(build, layer, below) {
    const { program, model, bindings, code } = build;
    const pre_activations = build.tensor('pre_activations');
    await addLayer(program, { ...layer, activation: 'identity' }, below, pre_activations);
    addDecoderNorms(build);
    const { gemm, groups } = codeBlocks(build);
    const files = ['metrics/step.wgsl', 'gemm/gemm.wgsl', l0File(build), 'sparsity/jumprelu_code.wgsl'];
    const own = { gemm, code, thresholds: model.threshold! };
    program.add({ files, constants: { dead_after: build.deadAfter } }, { ...bindings, ...own }, groups);
  },

  addGradient(build) {
    const { program, model, bindings } = build;
    const { bandwidth } = build.config as TrainConfig<'jumprelu'>;
    const columnBlocks = padded(model.hidden) / 4;
    const sizes = new Uint32Array([columnBlocks, rowGroups(build), rowsEach]);
    const gradients = build.tensor(`${model.encoder.at(-1)!.name}.gradient`);
    const thresholds = model.threshold!;
    const head = ['metrics/step.wgsl', 'sparsity/jumprelu_share.wgsl', l0File(build)];
    const groups = Math.ceil(columnBlocks / threads);
    program.add(
      {
        files: [...head, 'sparsity/jumprelu_gradient.wgsl'],
        constants: { dead_after: build.deadAfter, bandwidth },
      },
      { ...bindings, sizes, gradients, thresholds },
      [groups, model.gpu.groups(rowGroups(build))],
    );
    const threshold_gradients = build.tensor(gradientOf(thresholds.name));
    program.add(
      { files: [...head, 'sparsity/jumprelu_threshold.wgsl'], constants: { bandwidth } },
      { ...bindings, sizes, thresholds, threshold_gradients },
      [groups, 1],
    );
  },
};

function rowGroups({ rows }: StepBuild): number {
  return Math.ceil(rows / rowsEach);
}

function l0File({ config }: StepBuild): string {
  return `sparsity/l0_${(config as TrainConfig<'jumprelu'>).l0_loss}.wgsl`;
}

/** Appends the norms of decoder directions. */
function addDecoderNorms(build: StepBuild): void {
  const { program, model, bindings } = build;
  const [{ inputs, outputs }] = model.decoder;
  const latentBlocks = padded(inputs) / 4;
  const decoder = new Uint32Array([outputs, latentBlocks]);
  const own = { decoder, decoder_weights: build.decoderWeights };
  const groups = [model.gpu.groups(Math.ceil(latentBlocks / threads)), 1] as const;
  program.add({ files: ['sparsity/decoder_norms.wgsl'] }, { ...bindings, ...own }, groups);
}
