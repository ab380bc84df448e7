import type { Tensor } from '../../gpu/tensor.js';
import type { ModelLayer } from '../model/layers.js';
import type { BatchInput } from '../rows/window.js';
import type { StepBuild } from './build.js';

/** The kernels of a step that makes the code in another way than the model. */
export interface CodingKernels {
  /** Whether a step that only measures makes the code so, too. */
  readonly measures: boolean;
  /** Makes what the kernels need. */
  allocate(build: StepBuild): void;
  /** Appends the code of a batch and its sums over rows, as `addCodeSums` does. @param layer the last encoder layer. */
  addCode(build: StepBuild, layer: ModelLayer, below: Tensor | BatchInput): Promise<void>;
  /** Appends what the gradient by the code has to pass on its way to the pre-activations. */
  addGradient?(build: StepBuild): void;
}
