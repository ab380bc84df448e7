import { addGemm } from '../../gpu/gemm/gemm.js';
import { padded } from '../../gpu/tensor.js';
import { addLayer, inputOperand, weightOperand } from '../model/forward.js';
import { addRescalingNorms } from '../model/rescaling.js';
import { addFirstLatents, addSelection } from '../model/selection.js';
import { type BatchInput, gathered, type Windows } from '../rows/window.js';
import type { StepBuild } from './build.js';
import { addCodeSums } from './code-sums.js';
import { codingOf } from './codings.js';
import { addDivisor } from './divisor.js';
import { addBlocks, blockCount, blockRows, type RowBlock } from './row-blocks.js';

/** Invocations per workgroup in `metrics/statistics.wgsl`. */
const statisticsThreads = 64;
/** Bytes of `struct Share` in `metrics/step.wgsl`. */
export const shareBytes = 32;

/** Makes what the forward pass needs besides the layers' outputs. */
export function allocateForward(build: StepBuild): void {
  const { model } = build;
  const rows = blockRows(build);
  const rowBlocks = padded(rows) / 4;
  const { hidden, config } = model;
  const code = `a code [${rows}, ${hidden}]`;
  build.makeBuffer('column_sums', `The sums over ${code}`, rowBlocks * padded(hidden) * 4);
  build.makeBuffer('active_counts', `The counts of active latents in ${code}`, rowBlocks * padded(hidden));
  const errors = `The squared errors of rows [${rows}, ${config.in_dims}]`;
  build.makeBuffer('squared_errors', errors, rowBlocks * padded(config.in_dims));
  build.makePassBuffer('rows_active', 'The counts of active rows', padded(hidden) * 4);
  const shares = blockCount(build) * statisticsGroups(build) * statisticsThreads;
  build.makeBuffer('shares', 'Shares of sums', shares * shareBytes);
  for (const name of build.penalty.perLatent) {
    build.makeBuffer(name, name, padded(hidden) * 4);
  }
}

/**
 * Appends the forward pass, the losses and the log: one dispatch per layer, and two small ones at the end.
 * @param first how many latents, the first ones, reconstruct the rows; by default all.
 */
export async function addForward(build: StepBuild, input: BatchInput, first?: number): Promise<void> {
  addDivisor(build, input);
  addRescalingNorms(build.program, build.model.layers);
  await addSums(build, input, { first: 0, rows: build.rows, step: build.buffer('step') }, first);
  addLog(build);
}

/** Appends the same, of a batch whose code does not fit into a buffer, in blocks of rows. */
export async function addForwardInBlocks(build: StepBuild, windows: Windows, first?: number): Promise<void> {
  const { program, model } = build;
  const [step, batch, part] = [build.buffer('step'), build.tensor('batch'), build.tensor('block_batch')];
  windows.addGather(program, step, batch);
  addDivisor(build, gathered(step, batch));
  addRescalingNorms(program, model.layers);
  await addBlocks(build, step, async (block) => {
    windows.addGather(program, block.step, part);
    await addSums(build, gathered(block.step, part), block, first);
  });
  addLog(build);
}

/** Appends the layers of a block of rows, and its shares of the step's sums. */
async function addSums(build: StepBuild, input: BatchInput, block: RowBlock, first?: number): Promise<void> {
  const { program, model, penalty } = build;
  const { step } = block;
  const bindings = { ...build.bindings, step };
  const { layers, encoder, hidden } = model;
  const last = layers.length - 1;
  for (const [i, layer] of layers.slice(0, last).entries()) {
    const below = i === 0 ? input : build.tensor(`${layers[i - 1].name}.output`);
    const isCode = i === encoder.length - 1;
    const coding = isCode ? codingOf(build) : undefined;
    if (coding) {
      await coding.addCode(build, layer, below);
    } else {
      const sums = isCode && !layer.selection ? { files: ['metrics/code_sums.wgsl'], bindings } : undefined;
      await addLayer(program, layer, below, build.tensor(`${layer.name}.output`), sums);
      if (layer.selection) {
        addSelection(program, layer, build.code);
        if (first !== undefined) {
          addFirstLatents(program, first, build.code);
        }
        addCodeSums(build, step);
      }
    }
  }

  const { name, weight, bias, inputs, outputs } = layers[last];
  const { order, file } = weightOperand(layers[last]);
  const operand = inputOperand(layers[last]);
  const files = ['metrics/step.wgsl', ...input.files, operand.file, file, 'layers/loss.wgsl'];
  const rows = blockRows(build);
  const shape = { order, rows, columns: outputs, depth: inputs };
  await addGemm(
    program,
    shape,
    { files },
    {
      ...bindings,
      ...input.bindings,
      ...operand.bindings,
      a: build.tensor(`${layers[last - 1].name}.output`),
      b: weight,
      bias,
      gradients: build.tensor(`${name}.gradient`),
    },
  );

  const statistics = { files: ['metrics/step.wgsl', penalty.statistics, 'metrics/statistics.wgsl'] };
  const groups = statisticsGroups(build);
  const firstShare = (block.first / rows) * groups * statisticsThreads;
  const sizes = new Uint32Array([padded(rows) / 4, padded(hidden) / 4, hidden, firstShare]);
  const thresholds = model.threshold && { thresholds: model.threshold };
  const own = { sizes, decoder_weights: build.decoderWeights, ...thresholds };
  program.add(statistics, { ...bindings, ...own }, [groups, 1]);
}

/** Appends the log of the step, from the shares of its sums. */
export function addLog({ program, model, penalty, bindings }: StepBuild): void {
  const terms = penalty.terms ?? 'sparsity/sums.wgsl';
  const log = { files: ['metrics/step.wgsl', terms, 'metrics/log.wgsl'] };
  const thresholds = model.threshold && { thresholds: model.threshold };
  const sizes = new Uint32Array([model.config.in_dims]);
  program.add(log, { ...bindings, ...thresholds, sizes }, [1, 1]);
}

/** Enough for one invocation per vec4 of latents, and so that none adds up too many squared errors. */
function statisticsGroups(build: StepBuild): number {
  const { hidden, config } = build.model;
  const vectors = padded(hidden) / 4;
  const errors = (padded(blockRows(build)) / 4) * (padded(config.in_dims) / 4);
  const invocations = Math.max(vectors, Math.min(errors / 8, statisticsThreads ** 2));
  return Math.ceil(invocations / statisticsThreads);
}
