export * from './errors.js';
export { addGemm, type GemmOrder, type GemmTile, gemmSource, gemmTile } from './gemm.js';
export { Gpu, type ShaderLoader } from './gpu.js';
export { Kernel, type KernelSource } from './kernel.js';
export { Pacer } from './pacer.js';
export { Program, type Workgroups } from './program.js';
export { padded, Tensor, tensorBytes } from './tensor.js';
