import type { Device } from './device.js';
import { ClosedError, EngineError, LimitError } from './errors.js';
import { type Kernel, type KernelSource, kernelName } from './kernel.js';
import { Scope } from './scope.js';
import { shown } from './shown.js';
import { Tensor } from './tensor.js';

/** What a variable of a kernel can be bound to. */
export type Resource = Tensor | GPUBuffer | Uint32Array<ArrayBuffer>;
/** Resources by the names of the variables. */
export type Bindings = Readonly<Record<string, Resource>>;
/** Workgroups of a dispatch along each axis. */
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
 * An ordered list of dispatches whose kernels are compiled in parallel and whose bind groups are made once, so that
 * encoding it again makes no new buffers or bind groups. Each dispatch sees what the ones before it wrote.
 */
export class Program {
  readonly #planned: Planned[] = [];
  #binding: Promise<readonly Dispatch[]> | undefined;
  /** Set when all of them are ready. */
  #dispatches: readonly Dispatch[] | undefined;
  /** All buffers that the dispatches bind. */
  readonly #buffers = new Set<GPUBuffer>();
  #destroyed = false;
  readonly #scope = new Scope();

  constructor(readonly gpu: Device) {}

  /**
   * Appends a dispatch and starts to compile its kernel; `ready` waits for all of them.
   * @param bindings by the names of the WGSL variables; numbers become a uniform buffer of u32.
   * @throws LimitError if the adapter cannot dispatch so many workgroups; RangeError if they are no whole numbers, or
   *   after `ready`.
   */
  add(source: KernelSource, bindings: Bindings, workgroups: Workgroups): void {
    if (this.#binding) {
      throw new RangeError('a program takes no more dispatches after ready()');
    }
    const { maxComputeWorkgroupsPerDimension: most } = this.gpu.device.limits;
    const [x, y] = workgroups;
    if (![x, y].every((count) => Number.isInteger(count) && count >= 0)) {
      throw new RangeError(
        `${kernelName(source)} was given ${shown(workgroups)} workgroups; expected two whole numbers, such as [1, 1]`,
      );
    }
    if (Math.max(x, y) > most) {
      throw new LimitError(
        `${kernelName(source)} needs ${Math.max(x, y)} workgroups in one dimension, and this adapter ` +
          `(${this.gpu.name}) allows ${most}: the layer or the input is too wide for it.`,
      );
    }
    const kernel = this.gpu.kernel(source);
    // ready() reports the first that does not compile.
    kernel.catch(() => {});
    this.#planned.push({ kernel, bindings, workgroups: [x, y] });
  }

  /**
   * Waits until every kernel is compiled and its bind group made. A program can be submitted after that.
   * @throws EngineError if a kernel does not compile or is too large for what it binds, RangeError if a variable was
   *   not given or is written and bound to the same buffer as another, TypeError if it was given something else,
   *   ClosedError if the program is destroyed meanwhile. Later calls throw the same: make another program.
   */
  async ready(): Promise<void> {
    this.#binding ??= this.#bind();
    this.#dispatches = await this.#binding;
  }

  /** Number of dispatches. */
  get length(): number {
    return this.#planned.length;
  }

  /** The name of a dispatch's kernel. @throws RangeError before `ready`. */
  name(index: number): string {
    return this.#ready[index].kernel.name;
  }

  /**
   * Encodes the program `times` times, in one pass.
   * @param only index of the one dispatch to encode; all of them by default.
   * @param timestampWrites where the device writes when it began and ended.
   * @throws RangeError before `ready` has succeeded; ClosedError if a buffer that it binds was freed.
   */
  encode(
    encoder: GPUCommandEncoder,
    times: number,
    only?: number,
    timestampWrites?: GPUComputePassTimestampWrites,
  ): void {
    const dispatches = only === undefined ? this.#ready : [this.#ready[only]];
    for (const buffer of this.#buffers) {
      this.gpu.checkUse(buffer);
    }
    encodePass(encoder, dispatches, times, timestampWrites);
  }

  /** Submits the program by itself, once. @throws as `encode`. */
  submit(): void {
    const encoder = this.gpu.device.createCommandEncoder();
    this.encode(encoder, 1);
    this.gpu.device.queue.submit([encoder.finish()]);
  }

  /** Frees the uniform buffers. The tensors are not the program's. */
  destroy(): void {
    this.#destroyed = true;
    this.#scope.destroy();
  }

  get #ready(): readonly Dispatch[] {
    if (!this.#dispatches) {
      throw new RangeError('a program can be submitted only after ready() has succeeded');
    }
    return this.#dispatches;
  }

  async #bind(): Promise<readonly Dispatch[]> {
    const kernels: Kernel[] = [];
    for (const { kernel } of this.#planned) {
      kernels.push(await kernel);
    }
    if (this.#destroyed) {
      throw new ClosedError('A program was destroyed before its kernels were compiled.');
    }
    // The scope makes an error this program's failure, not the device's.
    const { device } = this.gpu;
    device.pushErrorScope('validation');
    let invalid: Promise<GPUError | null>;
    let dispatches: readonly Dispatch[];
    try {
      dispatches = this.#planned.map((planned, i) => this.#dispatch(planned, kernels[i]));
      // Nothing is submitted: the device says now what it would refuse, such as a buffer that is too small.
      const encoder = device.createCommandEncoder();
      encodePass(encoder, dispatches, 1);
      encoder.finish();
    } finally {
      // A lost device is reported elsewhere.
      invalid = device.popErrorScope().catch(() => null);
    }
    const error = await invalid;
    if (error) {
      throw new EngineError(`A kernel cannot be bound to what it was given: ${error.message}`);
    }
    return dispatches;
  }

  #dispatch({ bindings, workgroups }: Planned, kernel: Kernel): Dispatch {
    const bound = new Map<GPUBuffer, string>();
    const entries = kernel.variables.map((variable, binding) => {
      const resource = bindings[variable];
      if (resource === undefined) {
        throw new RangeError(`${kernel.name} binds ${variable}, which was not given`);
      }
      const buffer = this.#buffer(variable, resource);
      if (typeof buffer?.size !== 'number') {
        throw new TypeError(
          `${kernel.name} binds ${variable}, which is ${shown(resource)}; expected a Tensor, a GPUBuffer or a Uint32Array`,
        );
      }
      const other = bound.get(buffer);
      const writer = [variable, other].find((name) => name !== undefined && kernel.written.has(name));
      if (other !== undefined && writer !== undefined) {
        throw new RangeError(
          `${kernel.name} writes ${writer}, and binds the same buffer as ${other} and as ${variable} (${buffer.label}); expected ` +
            'a buffer of its own for what a kernel writes',
        );
      }
      bound.set(buffer, variable);
      this.#buffers.add(buffer);
      return { binding, resource: { buffer } };
    });
    const { name: label, layout } = kernel;
    const bindGroup = this.gpu.device.createBindGroup({ label, layout, entries });
    return { kernel, bindGroup, workgroups };
  }

  #buffer(variable: string, resource: Resource): GPUBuffer {
    if (resource instanceof Tensor) {
      return resource.buffer;
    }
    if (resource instanceof Uint32Array) {
      return this.#scope.adopt(this.gpu.uniform(variable, resource), (buffer) => this.gpu.free(buffer));
    }
    return resource;
  }
}

function encodePass(
  encoder: GPUCommandEncoder,
  dispatches: readonly Dispatch[],
  times: number,
  timestampWrites?: GPUComputePassTimestampWrites,
): void {
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
