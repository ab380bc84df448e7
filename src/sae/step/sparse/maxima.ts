import type { Bindings } from '../../../gpu/program.js';
import { padded } from '../../../gpu/tensor.js';
import type { Noting } from '../../model/forward.js';
import type { StepBuild } from '../build.js';
import { blockCount } from '../row-blocks.js';
import { mostLatents } from './choice.js';

/** Invocations of a workgroup in `sparse/select_lanes.wgsl`. */
export const selectionLanes = 8;

/**
 * Whether rows' latents are selected by the maxima of their vec4s, which are noted as the code is made: on a software adapter, where
 * no norms are multiplied afterwards. What is chosen of a row by itself must fit into workgroup memory.
 */
export function takesMaxima(build: StepBuild): boolean {
  const { config, model } = build;
  const { maxComputeWorkgroupStorageSize } = model.gpu.device.limits;
  return (
    model.gpu.software &&
    blockCount(build) === 1 &&
    !model.rescaling &&
    (config.sparsity !== 'topk' ||
      2 * mostChosen(build) * selectionLanes * 4 <= maxComputeWorkgroupStorageSize)
  );
}

/** A power of two, so that nearly all sizes have one kernel. */
export function mostChosen({ model, config }: StepBuild): number {
  return Math.max(64, 2 ** Math.ceil(Math.log2(mostLatents(model.config, config)!)));
}

/** Provide where maxima lie, and what they are of. */
export const maximaFiles = ['sparse/relu_bits.wgsl', 'sparse/maxima.wgsl'] as const;

/** The bindings of `sparse/maxima.wgsl`, and of those that take the maxima. */
export interface Maxima extends Bindings {
  readonly maxima: Uint32Array<ArrayBuffer>;
  readonly code_maxima: GPUBuffer;
}

/** Makes the maxima of a code. */
export function allocateMaxima(build: StepBuild): void {
  const { rows } = build;
  const [, stride] = layoutOf(build);
  build.makeBuffer('code_maxima', `The maxima of a batch of ${rows} rows`, padded(rows) * stride * 16);
}

/** What `allocateMaxima` made. */
export function maximaOf(build: StepBuild): Maxima {
  return { maxima: new Uint32Array(layoutOf(build)), code_maxima: build.buffer('code_maxima') };
}

/** What makes the encoder's product note them. */
export function notingMaxima(maxima: Maxima): Noting {
  return { files: [...maximaFiles, 'sparse/note_maxima.wgsl'], bindings: maxima };
}

/**
 * `struct Maxima`. As many spans as make the search among them as long as that in those that are chosen; none where the batch
 * is selected from as a whole.
 */
function layoutOf({
  model,
  config,
}: StepBuild): [codeVectors: number, stride: number, spans: number, shift: number] {
  const codeVectors = padded(model.hidden) / 4;
  if (config.sparsity !== 'topk') {
    return [codeVectors, Math.ceil(codeVectors / 4), 0, 0];
  }
  const most = mostLatents(model.config, config)!;
  const spanShift = Math.max(0, Math.round(Math.log2(codeVectors / 16 / most) / 2));
  const spanVectors = Math.ceil(codeVectors / 16 / 2 ** spanShift);
  return [codeVectors, spanVectors * (1 + 4 * 2 ** spanShift), spanVectors, spanShift];
}
