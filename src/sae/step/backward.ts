import { addGemm } from '../../gpu/gemm/gemm.js';
import { padded } from '../../gpu/tensor.js';
import { firstInput } from '../model/forward.js';
import type { BatchInput } from '../rows/window.js';
import type { StepBuild } from './build.js';
import { codingOf } from './codings.js';
import { addSilentRows } from './silent-rows.js';
import { addStoredUpdates, parameterEnding } from './update.js';

/** Appends the backward pass and the update: two dispatches per layer, and one for the first. */
export async function addBackward(build: StepBuild, input: BatchInput): Promise<void> {
  // `step` is already the next step's record, so the backward pass reads `update`.
  const ownInput = { ...input, bindings: { ...input.bindings, step: build.buffer('update') } };
  for (let l = build.model.layers.length - 1; l >= 0; l--) {
    if (l > 0) {
      // The gradient of this layer's input comes first: it reads the weights that are about to be updated.
      await addInputGradient(build, l);
      if (l === build.model.encoder.length) {
        codingOf(build)?.addGradient?.(build);
      }
    }
    await addParameterGradient(build, l, ownInput);
  }
  addSilentRows(build);
  addStoredUpdates(build);
}

/** Appends the gradient of a layer's input, taken back through the activation of the layer below. */
async function addInputGradient(build: StepBuild, l: number): Promise<void> {
  const { program, model, rows, penalty, bindings } = build;
  const { layers, encoder, config } = model;
  const { name, weight, inputs, outputs } = layers[l];
  const below = layers[l - 1].name;
  const files = [
    'metrics/step.wgsl',
    'gemm/a.wgsl',
    'gemm/b.wgsl',
    `layers/${l === encoder.length && codingOf(build)?.addGradient ? 'identity' : config.activation}.wgsl`,
    l === encoder.length ? penalty.gradient : 'sparsity/no_penalty_gradient.wgsl',
    'layers/gradient.wgsl',
  ];
  const shape = { order: 'nn', rows, columns: inputs, depth: outputs } as const;
  await addGemm(
    program,
    shape,
    { files },
    {
      ...bindings,
      a: build.tensor(`${name}.gradient`),
      b: weight,
      gradients: build.tensor(`${below}.gradient`),
      outputs: build.tensor(`${below}.output`),
    },
  );
}

/** Appends the gradient of a layer's weight and bias, and what it is used for. */
async function addParameterGradient(build: StepBuild, l: number, input: BatchInput): Promise<void> {
  const { program, model, rows, penalty, bindings } = build;
  const { layers, encoder } = model;
  const { name, inputs, outputs } = layers[l];
  const { pre_bias } = layers[l];
  const b = l > 0 ? build.tensor(`${layers[l - 1].name}.output`) : pre_bias ? undefined : input.batch;
  const below = b
    ? { files: [], bindings: { b } }
    : {
        files: [...input.files, firstInput(layers[l]), 'rows/b.wgsl'],
        bindings: { ...input.bindings, ...(pre_bias && { pre_bias }) },
      };
  const ending = parameterEnding(build, layers[l]);
  const files = [
    'metrics/step.wgsl',
    'gemm/a_transposed.wgsl',
    ...below.files,
    'layers/ones.wgsl',
    (l === encoder.length && penalty.decoder) || 'sparsity/no_decoder_penalty.wgsl',
    ...ending.files,
    'layers/parameters.wgsl',
  ];
  // One more block of columns for the bias.
  const shape = { order: 'tn', rows: outputs, columns: padded(inputs) + 4, depth: rows } as const;
  const { constants } = ending;
  await addGemm(
    program,
    shape,
    { files, constants },
    {
      ...bindings,
      ...below.bindings,
      ...ending.bindings,
      a: build.tensor(`${name}.gradient`),
    },
  );
}
