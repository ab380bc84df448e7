import { padded } from '../../gpu/tensor.js';
import type { StepBuild } from './build.js';

/** Invocations per workgroup in `metrics/selected_code.wgsl` and other kernels that take a block of the code each. */
const threads = 64;

/** The code's blocks of 4 x 4 as `struct Gemm` of `gemm/gemm.wgsl`, and the workgroups of a kernel that takes one each. */
export function codeBlocks({ model, code }: Pick<StepBuild, 'model' | 'code'>) {
  const columnBlocks = padded(model.hidden) / 4;
  const rowBlocks = padded(code.rows) / 4;
  return {
    gemm: new Uint32Array([rowBlocks, columnBlocks, 0, 0, 0]),
    groups: [Math.ceil(columnBlocks / threads), model.gpu.groups(rowBlocks)],
  } as const;
}

/** Appends the sums of a code of which some latents were selected. @param step the record with the rows that count. */
export function addCodeSums(build: StepBuild, step = build.buffer('step')): void {
  const { program, model, bindings, code } = build;
  const files = [
    'metrics/step.wgsl',
    'gemm/gemm.wgsl',
    `layers/${model.config.activation}.wgsl`,
    'metrics/code_sums.wgsl',
    'metrics/selected_code.wgsl',
  ];
  const { gemm, groups } = codeBlocks(build);
  program.add({ files }, { ...bindings, step, gemm, code }, groups);
}
