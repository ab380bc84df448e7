import { LimitError } from './errors.js';
import type { Gpu } from './gpu.js';
import type { Kernel } from './kernel.js';
import { Tensor } from './tensor.js';

export type Workgroups = readonly [x: number, y: number];

interface Dispatch {
  readonly kernel: Kernel;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: Workgroups;
}

/**
 * An ordered list of dispatches whose bind groups are made once: encoding it again allocates nothing of ours.
 * Each dispatch sees what the ones before it wrote.
 */
export class Program {
  readonly #dispatches: Dispatch[] = [];
  readonly #uniforms: GPUBuffer[] = [];

  constructor(readonly gpu: Gpu) {}

  /**
   * Appends a dispatch.
   * @param bindings in the order of their binding numbers; numbers become a uniform buffer of u32.
   */
  add(
    kernel: Kernel,
    bindings: readonly (Tensor | GPUBuffer | Uint32Array<ArrayBuffer>)[],
    workgroups: Workgroups,
  ): void {
    const { maxComputeWorkgroupsPerDimension: most } = this.gpu.device.limits;
    if (Math.max(...workgroups) > most) {
      throw new LimitError(
        `${kernel.name} needs ${Math.max(...workgroups)} workgroups in one dimension, and this adapter ` +
          `(${this.gpu.name}) allows ${most}: the layer or the input is too wide for it.`,
      );
    }
    const entries = bindings.map((resource, binding) => ({
      binding,
      resource: { buffer: this.#buffer(resource) },
    }));
    const layout = kernel.pipeline.getBindGroupLayout(0);
    const bindGroup = this.gpu.device.createBindGroup({ label: kernel.name, layout, entries });
    this.#dispatches.push({ kernel, bindGroup, workgroups });
  }

  get length(): number {
    return this.#dispatches.length;
  }

  encode(pass: GPUComputePassEncoder): void {
    for (const { kernel, bindGroup, workgroups } of this.#dispatches) {
      pass.setPipeline(kernel.pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(workgroups[0], workgroups[1]);
    }
  }

  /** Encodes the program `times` times and submits it as one. */
  submit(times = 1): void {
    const encoder = this.gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < times; i++) {
      this.encode(pass);
    }
    pass.end();
    this.gpu.device.queue.submit([encoder.finish()]);
  }

  /** Frees the uniform buffers; the tensors belong to whoever made them. */
  destroy(): void {
    for (const buffer of this.#uniforms) {
      buffer.destroy();
    }
  }

  #buffer(resource: Tensor | GPUBuffer | Uint32Array<ArrayBuffer>): GPUBuffer {
    if (resource instanceof Tensor) {
      return resource.buffer;
    }
    if (resource instanceof Uint32Array) {
      const buffer = this.gpu.device.createBuffer({
        size: Math.ceil(resource.byteLength / 16) * 16,
        usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      });
      this.gpu.device.queue.writeBuffer(buffer, 0, resource);
      this.#uniforms.push(buffer);
      return buffer;
    }
    return resource;
  }
}
