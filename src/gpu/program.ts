import { LimitError } from './errors.js';
import type { Gpu } from './gpu.js';
import type { Kernel } from './kernel.js';
import { Tensor } from './tensor.js';

/** What a kernel's variable can be bound to. */
export type Resource = Tensor | GPUBuffer | Uint32Array<ArrayBuffer>;
export type Bindings = Readonly<Record<string, Resource>>;
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
   * @param bindings by the names of the WGSL variables; numbers become a uniform buffer of u32.
   * @throws LimitError where the adapter cannot dispatch so many workgroups.
   */
  add(kernel: Kernel, bindings: Bindings, workgroups: Workgroups): void {
    const { maxComputeWorkgroupsPerDimension: most } = this.gpu.device.limits;
    if (Math.max(...workgroups) > most) {
      throw new LimitError(
        `${kernel.name} needs ${Math.max(...workgroups)} workgroups in one dimension, and this adapter ` +
          `(${this.gpu.name}) allows ${most}: the layer or the input is too wide for it.`,
      );
    }
    const entries = [...kernel.bindings].map(([name, binding]) => {
      const resource = bindings[name];
      if (resource === undefined) {
        throw new RangeError(`${kernel.name} binds ${name}, and was not given it`);
      }
      return { binding, resource: { buffer: this.#buffer(resource) } };
    });
    const bindGroup = this.gpu.device.createBindGroup({ label: kernel.name, layout: kernel.layout, entries });
    this.#dispatches.push({ kernel, bindGroup, workgroups });
  }

  get length(): number {
    return this.#dispatches.length;
  }

  /** The kernel of a dispatch. */
  name(index: number): string {
    return this.#dispatches[index].kernel.name;
  }

  /**
   * Encodes the program `times` times and submits it as one.
   * @param only index of the one dispatch to encode; all of them where it is not given.
   */
  submit(times = 1, only?: number): void {
    const dispatches = only === undefined ? this.#dispatches : [this.#dispatches[only]];
    const encoder = this.gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < times; i++) {
      for (const { kernel, bindGroup, workgroups } of dispatches) {
        pass.setPipeline(kernel.pipeline);
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(workgroups[0], workgroups[1]);
      }
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

  #buffer(resource: Resource): GPUBuffer {
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
