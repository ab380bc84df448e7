import { type Coding, sparsityOf } from '../sparsity/index.js';
import { batchtopk } from './batchtopk.js';
import type { StepBuild } from './build.js';
import type { CodingKernels } from './coding.js';
import { jumprelu } from './jumprelu.js';
import { topk } from './topk.js';

// Matryoshka's code is a list, whose step is its own.
const codings: Readonly<Record<Coding, CodingKernels>> = { topk, batchtopk, jumprelu };

/** How a step makes the code; undefined if as the model does. */
export function codingOf({ config, update }: StepBuild): CodingKernels | undefined {
  const { coding } = sparsityOf(config.sparsity);
  const kernels = coding && codings[coding];
  return kernels && (update || kernels.measures) ? kernels : undefined;
}
