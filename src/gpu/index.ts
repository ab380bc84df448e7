/**
 * What the engine is built on, for kernels of your own: device, tensors, kernels, programs, matrix products. It knows no autoencoder.
 *
 * @module webgpu-sae/gpu
 */

export { type GemmResult, measureGemm, measurePeak, type Peak } from './benchmark.js';
export { Device, type ShaderLoader, type Wait } from './device.js';
export * from './errors.js';
export { gemmTiles } from './gemm/candidates.js';
// What the signatures of all that name besides.
export type { GemmSource } from './gemm/gemm.js';
export { addGemm, multiply } from './gemm/gemm.js';
export type { GemmOrder, GemmShape, GemmTile, Reading, TileChooser, Tiles } from './gemm/tiles.js';
export type { Tuner, TuningOptions, TuningStore } from './gemm/tuner.js';
export { Gpu, type GpuOptions } from './gpu.js';
export { Image } from './image.js';
export { Kernel, type KernelSource } from './kernel.js';
export { type HostTime, Pacer, type Submitted } from './pacer.js';
export type { Running } from './program.js';
export { type Bindings, Program, type Resource, type Workgroups } from './program.js';
export { type Ownable, Scope } from './scope.js';
export { padded, Tensor, tensorBytes } from './tensor.js';
export { type Spread, timeProgram } from './timing.js';
