import { LimitError } from './errors.js';
import type { Gpu } from './gpu.js';
import { type Kernel, type KernelSource, kernelName } from './kernel.js';
import { Tensor } from './tensor.js';

/** What a kernel's variable can be bound to. */
export type Resource = Tensor | GPUBuffer | Uint32Array<ArrayBuffer>;
export type Bindings = Readonly<Record<string, Resource>>;
export type Workgroups = readonly [x: number, y: number];

/** A dispatch whose kernel may still be compiling. */
interface Planned {
  readonly kernel: Promise<Kernel>;
  readonly bindings: Bindings;
  readonly workgroups: Workgroups;
}

interface Dispatch {
  readonly kernel: Kernel;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: Workgroups;
}

/**
 * An ordered list of dispatches whose kernels are compiled side by side and whose bind groups are made once: encoding it
 * again allocates nothing of ours. Each dispatch sees what the ones before it wrote.
 */
export class Program {
  readonly #planned: Planned[] = [];
  readonly #dispatches: Dispatch[] = [];
  readonly #uniforms: GPUBuffer[] = [];

  constructor(readonly gpu: Gpu) {}

  /**
   * Appends a dispatch and begins to compile its kernel; `ready` waits for all of them.
   * @param bindings by the names of the WGSL variables; numbers become a uniform buffer of u32.
   * @throws LimitError where the adapter cannot dispatch so many workgroups.
   */
  add(source: KernelSource, bindings: Bindings, workgroups: Workgroups): void {
    const { maxComputeWorkgroupsPerDimension: most } = this.gpu.device.limits;
    if (Math.max(...workgroups) > most) {
      throw new LimitError(
        `${kernelName(source)} needs ${Math.max(...workgroups)} workgroups in one dimension, and this adapter ` +
          `(${this.gpu.name}) allows ${most}: the layer or the input is too wide for it.`,
      );
    }
    const kernel = this.gpu.kernel(source);
    // Where several do not compile, the first is reported, by ready().
    kernel.catch(() => {});
    this.#planned.push({ kernel, bindings, workgroups });
  }

  /** Waits until every kernel is compiled; a program is submitted after that. @throws EngineError where one does not compile. */
  async ready(): Promise<void> {
    for (const { kernel: compiling, bindings, workgroups } of this.#planned.splice(0)) {
      const kernel = await compiling;
      const entries = [...kernel.bindings].map(([name, binding]) => {
        const resource = bindings[name];
        if (resource === undefined) {
          throw new RangeError(`${kernel.name} binds ${name}, and was not given it`);
        }
        return { binding, resource: { buffer: this.#buffer(resource) } };
      });
      const { name: label, layout } = kernel;
      const bindGroup = this.gpu.device.createBindGroup({ label, layout, entries });
      this.#dispatches.push({ kernel, bindGroup, workgroups });
    }
  }

  get length(): number {
    return this.#dispatches.length;
  }

  /** The kernel of a dispatch. */
  name(index: number): string {
    return this.#dispatches[index].kernel.name;
  }

  /**
   * Encodes the program `times` times, in one pass.
   * @param only index of the one dispatch to encode; all of them where it is not given.
   * @param timestampWrites where the device is to write when it began and ended.
   * @throws RangeError before `ready`.
   */
  encode(
    encoder: GPUCommandEncoder,
    times: number,
    only?: number,
    timestampWrites?: GPUComputePassTimestampWrites,
  ): void {
    if (this.#planned.length > 0) {
      throw new RangeError('a program is submitted only after ready()');
    }
    const dispatches = only === undefined ? this.#dispatches : [this.#dispatches[only]];
    const pass = encoder.beginComputePass(timestampWrites && { timestampWrites });
    for (let i = 0; i < times; i++) {
      for (const { kernel, bindGroup, workgroups } of dispatches) {
        pass.setPipeline(kernel.pipeline);
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(workgroups[0], workgroups[1]);
      }
    }
    pass.end();
  }

  /** Submits the program by itself, once. */
  submit(): void {
    const encoder = this.gpu.device.createCommandEncoder();
    this.encode(encoder, 1);
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
