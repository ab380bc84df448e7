export { type GemmResult, measureGemm, measurePeak, type Peak } from './benchmark.js';
export * from './errors.js';
export { addGemm, type GemmOrder, type GemmShape, type GemmTile, gemmTile, multiply } from './gemm.js';
export { Gpu, type ShaderLoader } from './gpu.js';
export { Kernel, type KernelSource } from './kernel.js';
export { Pacer, type Submitted } from './pacer.js';
export { type Bindings, Program, type Resource, type Workgroups } from './program.js';
export { padded, Tensor, tensorBytes } from './tensor.js';
