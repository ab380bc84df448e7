import type { Device } from './device.js';
import { ClosedError, EngineError, LimitError } from './errors.js';
import type { Reading } from './gemm/tiles.js';
import { type CopyCommand, Image } from './image.js';
import { type Kernel, type KernelSource, kernelName } from './kernel.js';
import { Scope } from './scope.js';
import { oneLine, shown } from './shown.js';
import { Tensor } from './tensor.js';
import { byteWork, dispatchesTogether } from './work.js';

/** What a variable of a kernel can be bound to. */
export type Resource = Tensor | GPUBuffer | Uint32Array<ArrayBuffer> | Image;
/** Resources by the names of the variables. */
export type Bindings = Readonly<Record<string, Resource>>;
/** Workgroups of a dispatch along each axis. */
export type Workgroups = readonly [x: number, y: number];

/** A dispatch whose kernel may still be compiling. */
interface Planned {
  readonly kernel: Promise<Kernel>;
  readonly bindings: Bindings;
  readonly workgroups: Workgroups;
  readonly work: number | undefined;
}

interface Dispatch {
  readonly kernel: Kernel;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: Workgroups;
  readonly work: number;
}

/** A copy of a matrix to an image. */
interface Copy {
  readonly image: Image;
  readonly matrix: Tensor;
  readonly commands: readonly CopyCommand[];
}

type Step = Dispatch | Copy;

/** What of a program is submitted, and what goes with it. */
export interface Running {
  /** Index of the one dispatch or copy to run; all of them by default. */
  readonly only?: number | undefined;
  /** Where the device writes when it began and ended. */
  readonly timestampWrites?: GPUComputePassTimestampWrites;
  /** Encodes what follows. */
  readonly after?: (encoder: GPUCommandEncoder) => void;
}

/**
 * An ordered list of dispatches whose kernels are compiled in parallel and whose bind groups are made once, so that
 * encoding it again makes no new buffers or bind groups. Each dispatch sees what the ones before it wrote.
 */
export class Program {
  readonly #planned: (Planned | Copy)[] = [];
  #binding: Promise<readonly Step[]> | undefined;
  /** Set when all of them are ready. */
  #steps: readonly Step[] | undefined;
  /** All buffers and textures that the steps use. */
  readonly #used = new Set<GPUBuffer | GPUTexture>();
  readonly #images: Image[] = [];
  #destroyed = false;
  readonly #scope = new Scope();

  constructor(readonly gpu: Device) {}

  /**
   * Appends a dispatch and starts to compile its kernel; `ready` waits for all of them.
   * @param bindings by the names of the WGSL variables; numbers become a uniform buffer of u32.
   * @param work operations that it takes, as `work.ts` counts them; by default, what it takes to read all that is bound, and to store what is written.
   * @throws LimitError if the adapter cannot dispatch so many workgroups; RangeError if they are no whole numbers, or
   *   after `ready`.
   */
  add(source: KernelSource, bindings: Bindings, workgroups: Workgroups, work?: number): void {
    this.#checkOpen();
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
    this.#planned.push({ kernel, bindings, workgroups: [x, y], work });
  }

  /**
   * Appends the copy of a matrix to an image, for the dispatches after it to bind. The image is the program's, which uses it
   * again: the next copy of a matrix of the same shape takes the place of this one.
   * @param kept images whose matrices must stay.
   * @throws LimitError if the matrix does not fit into a texture, RangeError after `ready`.
   */
  copyToImage(matrix: Tensor, reading: Reading, kept: readonly Image[] = []): Image {
    this.#checkOpen();
    const { rows, columns } = matrix;
    let image = this.#images.find(
      (made) =>
        made.rows === rows && made.columns === columns && made.reading === reading && !kept.includes(made),
    );
    if (!image) {
      image = this.#scope.use(new Image(this.gpu, rows, columns, reading));
      this.#images.push(image);
    }
    this.#planned.push({ image, matrix, commands: image.copiesOf(matrix) });
    return image;
  }

  #checkOpen(): void {
    if (this.#binding) {
      throw new RangeError('a program takes no more dispatches after ready()');
    }
  }

  /**
   * Waits until every kernel is compiled and its bind group made. A program can be submitted after that.
   * @throws EngineError if a kernel does not compile or is too large for what it binds, RangeError if a variable was
   *   not given or is written and bound to the same buffer as another, TypeError if it was given something else,
   *   ClosedError if the program is destroyed meanwhile. Later calls throw the same: make another program.
   */
  async ready(): Promise<void> {
    this.#binding ??= this.#bind();
    this.#steps = await this.#binding;
  }

  /** Number of dispatches, and of copies to images. */
  get length(): number {
    return this.#planned.length;
  }

  /** The name of a dispatch's kernel, or of a copy. @throws RangeError before `ready`. */
  name(index: number): string {
    const step = this.#ready[index];
    return 'image' in step ? `copy of ${step.matrix.name}` : step.kernel.name;
  }

  /**
   * Encodes the program `times` times, in one pass if it copies nothing.
   * @throws RangeError before `ready` has succeeded; ClosedError if a buffer that it binds was freed.
   */
  encode(encoder: GPUCommandEncoder, times: number): void {
    const steps = this.#ready;
    this.#checkUse();
    encodeSteps(encoder, steps, times);
  }

  /** Operations that each dispatch takes, as `work.ts` counts them; 0 for a copy. @throws RangeError before `ready`. */
  get work(): readonly number[] {
    return this.#ready.map(workOf);
  }

  /**
   * Submits the program `times` times. Once, it may be work for seconds, and is cut into several submits for drivers that end what takes
   * long; more than once is for a program whose time was measured.
   * @throws as `encode`.
   */
  submit(times = 1, { only, timestampWrites, after }: Running = {}): void {
    const { device } = this.gpu;
    const steps = only === undefined ? this.#ready : [this.#ready[only]];
    const parts = times === 1 ? submitsOf(steps, dispatchesTogether * this.gpu.mostWork) : [steps];
    this.#checkUse();
    for (const [i, part] of parts.entries()) {
      const encoder = device.createCommandEncoder();
      encodeSteps(
        encoder,
        part,
        times,
        timestampWrites && ofPart(timestampWrites, i === 0, i === parts.length - 1),
      );
      if (i === parts.length - 1) after?.(encoder);
      device.queue.submit([encoder.finish()]);
    }
  }

  #checkUse(): void {
    for (const used of this.#used) {
      this.gpu.checkUse(used);
    }
  }

  /** Frees the uniform buffers and the images. The tensors are not the program's. */
  destroy(): void {
    this.#destroyed = true;
    this.#scope.destroy();
  }

  get #ready(): readonly Step[] {
    if (!this.#steps) {
      throw new RangeError('a program can be submitted only after ready() has succeeded');
    }
    return this.#steps;
  }

  async #bind(): Promise<readonly Step[]> {
    const compiled: (readonly [Planned, Kernel] | Copy)[] = [];
    for (const planned of this.#planned) {
      compiled.push('image' in planned ? planned : [planned, await planned.kernel]);
    }
    if (this.#destroyed) {
      throw new ClosedError('A program was destroyed before its kernels were compiled.');
    }
    // The scope makes an error this program's failure, not the device's.
    const { device } = this.gpu;
    device.pushErrorScope('validation');
    let invalid: Promise<GPUError | null>;
    let steps: readonly Step[];
    try {
      steps = compiled.map((step) => ('image' in step ? this.#copy(step) : this.#dispatch(...step)));
      // Nothing is submitted: the device says now what it would refuse, such as a buffer that is too small.
      const encoder = device.createCommandEncoder();
      encodeSteps(encoder, steps, 1);
      encoder.finish();
    } finally {
      // A lost device is reported elsewhere.
      invalid = device.popErrorScope().catch(() => null);
    }
    const error = await invalid;
    if (error) {
      await this.gpu.explain();
      throw new EngineError(`A kernel cannot be bound to what it was given: ${oneLine(error.message)}.`);
    }
    return steps;
  }

  #copy(copy: Copy): Copy {
    this.#used.add(copy.matrix.buffer).add(copy.image.texture);
    return copy;
  }

  #dispatch({ bindings, workgroups, work }: Planned, kernel: Kernel): Dispatch {
    const bound = new Map<GPUBuffer, string>();
    const entries = kernel.variables.map((variable, binding) => {
      const resource = bindings[variable];
      if (resource === undefined) {
        throw new RangeError(`${kernel.name} binds ${variable}, which was not given`);
      }
      if (resource instanceof Image) {
        this.#used.add(resource.texture);
        return { binding, resource: resource.view };
      }
      const buffer = this.#buffer(variable, resource);
      if (typeof buffer?.size !== 'number') {
        throw new TypeError(
          `${kernel.name} binds ${variable}, which is ${shown(resource)}; expected a Tensor, an Image, a GPUBuffer or a Uint32Array`,
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
      this.#used.add(buffer);
      return { binding, resource: { buffer } };
    });
    const { name: label, layout } = kernel;
    const bindGroup = this.gpu.device.createBindGroup({ label, layout, entries });
    const bytes = [...bound].reduce(
      (sum, [{ size }, name]) => sum + (kernel.written.has(name) ? 2 : 1) * size,
      0,
    );
    return { kernel, bindGroup, workgroups, work: work ?? bytes * byteWork };
  }

  #buffer(variable: string, resource: Exclude<Resource, Image>): GPUBuffer {
    if (resource instanceof Tensor) {
      return resource.buffer;
    }
    if (resource instanceof Uint32Array) {
      return this.#scope.adopt(this.gpu.uniform(variable, resource), (buffer) => this.gpu.free(buffer));
    }
    return resource;
  }
}

function encodeSteps(
  encoder: GPUCommandEncoder,
  steps: readonly Step[],
  times: number,
  timestampWrites?: GPUComputePassTimestampWrites,
): void {
  // A pass copies nothing: where copies are among the steps, the time is that between two empty passes.
  const passes = timestampWrites && steps.some((step) => 'image' in step);
  if (passes && timestampWrites.beginningOfPassWriteIndex !== undefined) {
    const { querySet, beginningOfPassWriteIndex } = timestampWrites;
    encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex } }).end();
  }
  let pass: GPUComputePassEncoder | undefined;
  for (let i = 0; i < times; i++) {
    for (const step of steps) {
      if ('image' in step) {
        pass?.end();
        pass = undefined;
        for (const command of step.commands) {
          encoder.copyBufferToTexture(...command);
        }
        continue;
      }
      pass ??= encoder.beginComputePass(passes ? undefined : timestampWrites && { timestampWrites });
      pass.setPipeline(step.kernel.pipeline);
      pass.setBindGroup(0, step.bindGroup);
      pass.dispatchWorkgroups(step.workgroups[0], step.workgroups[1]);
    }
  }
  pass?.end();
  if (passes && timestampWrites.endOfPassWriteIndex !== undefined) {
    const { querySet, endOfPassWriteIndex } = timestampWrites;
    encoder.beginComputePass({ timestampWrites: { querySet, endOfPassWriteIndex } }).end();
  }
}

function workOf(step: Step): number {
  return 'image' in step ? 0 : step.work;
}

/** The steps in parts that are submitted one after another, of work for less than a second on a slow GPU: see `work.ts`. */
function submitsOf(steps: readonly Step[], most: number): readonly (readonly Step[])[] {
  const parts: Step[][] = [[]];
  let work = 0;
  for (const step of steps) {
    work += workOf(step);
    if (work > most && parts[parts.length - 1].length > 0) {
      parts.push([]);
      work = workOf(step);
    }
    parts[parts.length - 1].push(step);
  }
  return parts;
}

/** Which timestamps are written with the first or the last part. */
function ofPart(
  { querySet, beginningOfPassWriteIndex = 0, endOfPassWriteIndex = 1 }: GPUComputePassTimestampWrites,
  first: boolean,
  last: boolean,
): GPUComputePassTimestampWrites | undefined {
  if (!first && !last) return undefined;
  return {
    querySet,
    ...(first && { beginningOfPassWriteIndex }),
    ...(last && { endOfPassWriteIndex }),
  };
}
