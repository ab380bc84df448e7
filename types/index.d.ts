// For TypeScript before release 6, whose DOM library has no WebGPU.
/// <reference types="@webgpu/types" />
export * from '../dist/node/index.js';
