import type { Bindings, Program } from '../../gpu/program.js';
import { padded, type Tensor, tensorBytes } from '../../gpu/tensor.js';
import type { ModelLayer } from '../model/layers.js';
import type { StepBuild } from './build.js';

// The update rule is fused into the GEMM that makes the gradient, which is then never stored ("fused"), unless
// something must be known of all gradients before the update: then they are stored, and the updates are kernels of
// their own ("stored").

/** Invocations per workgroup in `optimizer/squares.wgsl` and `optimizer/update.wgsl`, and vec4s per invocation. */
const threads = 64;
const vectorsEach = 8;
/** Latents whose weights a workgroup of `optimizer/pre_bias.wgsl` adds up. */
const preBiasShareLatents = 64;
/** Most workgroups that add up the squares of a gradient. */
const mostSquaresGroups = 64;

/** Whether gradients are stored. Those of thresholds always are. */
export function storesGradients({ config, model, sparse }: StepBuild): boolean {
  const { clip_norm, decoder_norm } = config;
  const { pre_bias, tied } = model.config;
  const trainsThreshold = model.trained.some((tensor) => tensor === model.threshold);
  const known = clip_norm !== undefined || decoder_norm === 'unit' || trainsThreshold;
  return !sparse && (known || pre_bias === true || tied === true);
}

/** A buffer of moments. */
interface MomentBuffer {
  readonly name: string;
  /** Its name in messages. */
  readonly label: string;
  readonly bytes: number;
}

/**
 * The buffers of a parameter's moments. Two moments have a buffer each, so that the largest possible parameter can be
 * trained. But those of a fused bias, whose kernel has one binding left for them, and any other number of moments share
 * a buffer.
 */
function momentBuffersOf(build: StepBuild, { name, shape }: Tensor): readonly MomentBuffer[] {
  const { rule } = build;
  const bytes = tensorBytes(shape);
  if (rule.moments === 2 && (shape.length > 1 || storesGradients(build))) {
    return ['first', 'second'].map((which) => {
      return {
        name: `${name}.${which}_moment`,
        label: `${rule.summary}'s ${which} moments for ${name}`,
        bytes,
      };
    });
  }
  return [
    { name: `${name}.moments`, label: `${rule.summary}'s moments for ${name}`, bytes: rule.moments * bytes },
  ];
}

/** The names of the buffers of a parameter's moments. */
export function momentsOf(build: StepBuild, parameter: Tensor): string[] {
  return momentBuffersOf(build, parameter).map(({ name }) => name);
}

/** The WGSL file that reads and stores a parameter's moments, with what it binds. */
export function momentsAt(build: StepBuild, parameter: Tensor): { file: string; bindings: Bindings } {
  const buffers = momentsOf(build, parameter).map((name) => build.buffer(name));
  if (buffers.length === 2) {
    const bindings = { first_moments: buffers[0], second_moments: buffers[1] };
    return { file: 'optimizer/two_moments.wgsl', bindings };
  }
  return { file: 'optimizer/moments.wgsl', bindings: { all_moments: buffers[0] } };
}

/** Makes the moments of all parameters, and the gradients if they are stored. */
export function allocateUpdate(build: StepBuild): void {
  const { model } = build;
  for (const tensor of model.trained) {
    for (const { name, label, bytes } of momentBuffersOf(build, tensor)) {
      build.makeBuffer(name, label, bytes);
    }
  }
  const [{ pre_bias, inputs, outputs }] = model.layers;
  if (pre_bias) {
    const shares = [preBiasShares(outputs), inputs];
    build.makeTensor('pre_bias_shares', shares, `Shares of the gradient of ${pre_bias.name}`);
  }
  if (storesGradients(build)) {
    for (const tensor of model.tensors) {
      build.makeTensor(gradientOf(tensor.name), tensor.shape);
    }
    const squares = model.trained.reduce((sum, tensor) => sum + squaresShares(tensor), 0);
    build.makeBuffer('squares', "Shares of the gradients' squares", squares * 4);
    build.makeBuffer('gradient_scale', "The gradients' scale", 4);
  } else {
    build.makeBuffer('overflows', "The moments' overflows", model.trained.length * 4);
  }
}

/** How the GEMM that makes a layer's gradients ends: with the update, or by storing them. */
export function parameterEnding(
  build: StepBuild,
  { weight, bias }: ModelLayer,
): { files: readonly string[]; bindings: Bindings; constants: Readonly<Record<string, number>> } {
  const { rule, config } = build;
  if (storesGradients(build)) {
    const bindings = {
      weights: weight,
      weight_gradients: build.tensor(gradientOf(weight.name)),
      bias_gradients: build.tensor(gradientOf(bias.name)),
    };
    return { files: ['optimizer/stored.wgsl'], bindings, constants: {} };
  }
  const { file, bindings: moments } = momentsAt(build, weight);
  const [biasMoments] = momentsOf(build, bias);
  const bindings = { ...moments, weights: weight, biases: bias, bias_moments: build.buffer(biasMoments) };
  const files = [...rule.files, file, 'optimizer/fused.wgsl'];
  return { files, bindings, constants: rule.constants(config) };
}

/** More than any norm is that is finite in f32. */
const noClip = 3e38;

/**
 * Appends what follows stored gradients: what one gradient adds to another or has to lose, their global norm, the scale
 * that clips it, and the updates.
 */
export function addStoredUpdates(build: StepBuild): void {
  if (!storesGradients(build)) {
    return;
  }
  const { program, model, config, bindings } = build;
  addPreBiasGradient(build);
  if (model.config.tied) {
    const [encoder, decoder] = model.layers.map(({ weight }) => build.tensor(gradientOf(weight.name)));
    addTransposed(program, encoder, decoder, true);
  }
  const unit = config.decoder_norm === 'unit' ? unitDecoder(build) : undefined;
  if (unit) {
    const own = { ...unit.bindings, gradients: build.tensor(gradientOf(unit.bindings.weights.name)) };
    program.add({ files: ['optimizer/project.wgsl'] }, own, unit.groups);
  }
  let first = 0;
  for (const tensor of model.trained) {
    first = addSquares(build, tensor, first);
  }
  addClip(build);
  for (const tensor of model.trained) {
    addUpdate(build, tensor);
  }
  if (unit) {
    const normalize = { files: ['metrics/step.wgsl', 'optimizer/normalize.wgsl'] };
    program.add(normalize, { ...bindings, ...unit.bindings }, unit.groups);
  }
  if (model.config.tied) {
    const [encoder, decoder] = model.layers.map(({ weight }) => weight);
    addTransposed(program, decoder, encoder, false);
  }
}

/** Appends the transposition of a matrix into another. @param adding whether it is added to that. */
function addTransposed(program: Program, matrix: Tensor, transposed: Tensor, adding: boolean): void {
  const blocks = [padded(matrix.rows) / 4, padded(matrix.columns) / 4] as const;
  const kernel = { files: ['optimizer/transpose.wgsl'], constants: { adding: Number(adding) } };
  const groups = program.gpu.groups(Math.ceil((blocks[0] * blocks[1]) / threads));
  program.add(kernel, { blocks: new Uint32Array(blocks), matrix, transposed }, [groups, 1]);
}

/** Shares of the sum of squares of a parameter's stored gradient. */
export function squaresShares(parameter: Tensor): number {
  return squaresGroups(parameter) * threads;
}

/** Appends the sums of squares of a parameter's stored gradient, which begin there; returns where the next begin. */
export function addSquares(build: StepBuild, parameter: Tensor, first: number): number {
  const { program, bindings } = build;
  const gradients = build.tensor(gradientOf(parameter.name));
  const own = { place: new Uint32Array([first]), gradients };
  const groups = [squaresGroups(parameter), 1] as const;
  program.add({ files: ['optimizer/squares.wgsl'] }, { ...bindings, ...own }, groups);
  return first + squaresShares(parameter);
}

/** Appends the scale that limits the gradients' global norm. */
export function addClip({ program, config, bindings }: StepBuild): void {
  const { clip_norm = noClip } = config;
  const clip = { files: ['metrics/step.wgsl', 'optimizer/clip.wgsl'], constants: { clip_norm } };
  program.add(clip, bindings, [1, 1]);
}

/** Appends a parameter's update from its stored gradient. */
export function addUpdate(build: StepBuild, parameter: Tensor): void {
  const { program, model, rule, config, bindings } = build;
  const moments = momentsAt(build, parameter);
  const update = {
    files: ['metrics/step.wgsl', ...rule.files, moments.file, 'optimizer/update.wgsl'],
    constants: rule.constants(config),
  };
  const gradients = build.tensor(gradientOf(parameter.name));
  const own = { ...moments.bindings, gradients, parameters: parameter };
  program.add(update, { ...bindings, ...own }, [model.gpu.groups(groupsOf(parameter)), 1]);
}

/** Appends the part of the gradient of the output's bias that comes through the encoder, if it is subtracted from the input. */
export function addPreBiasGradient(build: StepBuild): void {
  const { program, model } = build;
  const [{ weight, bias, pre_bias, inputs, outputs }] = model.layers;
  if (!pre_bias) {
    return;
  }
  const columnBlocks = padded(inputs) / 4;
  const shares = preBiasShares(outputs);
  const bindings = {
    ...build.bindings,
    encoder: new Uint32Array([outputs, columnBlocks, shares]),
    encoder_weights: weight,
    encoder_bias_gradients: build.tensor(gradientOf(bias.name)),
    pre_bias_gradients: build.tensor(gradientOf(pre_bias.name)),
  };
  const constants = { share_latents: preBiasShareLatents };
  program.add({ files: ['optimizer/pre_bias.wgsl'], constants }, bindings, [model.gpu.groups(shares), 1]);
  program.add({ files: ['optimizer/pre_bias_sum.wgsl'] }, bindings, [model.gpu.groups(columnBlocks), 1]);
}

/** Shares of the sum over latents in `optimizer/pre_bias.wgsl`. */
function preBiasShares(latents: number): number {
  return Math.ceil(latents / preBiasShareLatents);
}

/** What the kernels for decoder directions of norm 1 bind, and their workgroups. */
function unitDecoder(build: StepBuild) {
  const { gpu, decoder: layers } = build.model;
  const [{ weight, inputs, outputs }] = layers;
  const latentBlocks = padded(inputs) / 4;
  const decoder = new Uint32Array([outputs, latentBlocks]);
  const groups = [gpu.groups(Math.ceil(latentBlocks / threads)), 1] as const;
  return { bindings: { decoder, weights: weight }, groups };
}

/**
 * Appends a check of all moments. Without it, and without the gradients' norm, an overflow goes unnoticed: a squared
 * gradient beyond f32 makes a moment infinite, and its weight no longer changes.
 */
export function addMomentsCheck(build: StepBuild, program: Program): void {
  const { trained: tensors, gpu } = build.model;
  const overflows = build.buffer('overflows');
  for (const [i, tensor] of tensors.entries()) {
    const groups = gpu.groups(groupsOf(tensor));
    for (const name of momentsOf(build, tensor)) {
      const own = { place: new Uint32Array([i]), moments: build.buffer(name), overflows };
      program.add({ files: ['optimizer/overflow.wgsl'] }, own, [groups, 1]);
    }
  }
}

/** The name of a parameter's stored gradient. */
export function gradientOf(parameter: string): string {
  return `${parameter}.gradient`;
}

function groupsOf({ rows, columns }: Tensor): number {
  return Math.ceil((padded(rows) * padded(columns)) / 4 / threads / vectorsEach);
}

function squaresGroups(tensor: Tensor): number {
  return Math.min(mostSquaresGroups, groupsOf(tensor));
}
