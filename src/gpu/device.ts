import { ClosedError, DeviceLostError, EngineError, LimitError, OutOfMemoryError } from './errors.js';
import type { TileChooser } from './gemm/tiles.js';
import { Kernel, type KernelSource, kernelKey, kernelName } from './kernel.js';
import { oneLine, typeOf } from './shown.js';
import { mostWork } from './work.js';

/** Gives the text of a file in `shaders/`. The host supplies it: from a disk, a bundle or a server. */
export type ShaderLoader = (file: string) => string | Promise<string>;

/**
 * Minutes without an answer after which a device counts as lost. A step of the largest models takes seconds on a software
 * adapter, and where many share it minutes.
 */
const patience = 10;

/** How the host waits for a software adapter. Returning the promise itself is enough. */
export type Wait = <T>(promise: Promise<T>) => Promise<T>;

/**
 * An adapter and its device, with the buffers on it and the kernels compiled for it. Reports a lost device, a lack of
 * memory and invalid commands. `Gpu` opens one.
 */
export abstract class Device {
  /** Chooses how GEMMs are laid out. */
  abstract readonly tuner: TileChooser;
  /** Operations of a dispatch, at most, where it can be cut: see `work.ts`. Cuts change no result. */
  readonly mostWork: number = mostWork;
  readonly #kernels = new Map<string, Promise<Kernel>>();
  readonly #wait: Wait;
  /** Settles when the device is lost, or does not answer any more. */
  readonly lost: Promise<void>;
  #tellLost = () => {};
  #failure: EngineError | undefined;
  /** The bytes of all buffers and textures that were made here and not freed yet. */
  readonly #allocated = new Map<GPUBuffer | GPUTexture, number>();
  readonly #freed = new WeakSet<GPUBuffer | GPUTexture>();
  #allocatedBytes = 0;
  /** What is waited for, and for how many minutes nothing of it has come. */
  readonly #awaited = new Set<(failure: EngineError) => void>();
  #minutes = 0;
  #clock: ReturnType<typeof setInterval> | undefined;
  #hangs = false;

  constructor(
    readonly adapter: GPUAdapter,
    readonly device: GPUDevice,
    readonly loadShader: ShaderLoader,
    wait: Wait = (promise) => promise,
  ) {
    this.#wait = this.software ? wait : (promise) => promise;
    this.lost = new Promise((resolve) => {
      this.#tellLost = resolve;
    });
    device.lost.then((info) => {
      // Otherwise the device would hold this object, which holds the device, for ever.
      device.onuncapturederror = null;
      this.#tellLost();
      this.#failure ??= new DeviceLostError(
        info.reason === 'destroyed'
          ? 'The device was closed while it was in use.'
          : `The device was lost: ${oneLine(info.message)}. Everything on it is gone; start again, from a saved model if there is one.`,
      );
    });
    device.onuncapturederror = ({ error }) => {
      this.#failure ??=
        error instanceof GPUOutOfMemoryError
          ? new OutOfMemoryError(`The device is out of memory: ${oneLine(error.message)}.`)
          : new EngineError(`The device refused a command: ${oneLine(error.message)}.`);
    };
  }

  /** True for an adapter that runs on the processor instead of a GPU. */
  get software(): boolean {
    return this.adapter.info.isFallbackAdapter;
  }

  /** Invocations per subgroup, if that is a fixed number that `gemm/subgroup.wgsl` can use; else undefined. */
  get subgroupSize(): number | undefined {
    const { subgroupMinSize, subgroupMaxSize } = this.adapter.info;
    const usable = this.device.features.has('subgroups') && subgroupMinSize === subgroupMaxSize;
    return usable && (subgroupMinSize === 4 || subgroupMinSize === 8) ? subgroupMinSize : undefined;
  }

  /** Bytes of all buffers and textures that were made here and not freed yet. */
  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** The adapter's name for people; if the host gives none, its kind and who withholds the name. */
  get name(): string {
    const { description, device, architecture, vendor } = this.adapter.info;
    const name = description || device || [vendor, architecture].filter(Boolean).join(' ');
    return name || `a ${this.software ? 'software adapter' : 'GPU'} that ${hostName()} does not name`;
  }

  /** Compiles a kernel, or returns the one that was compiled from the same source before. */
  kernel(source: KernelSource): Promise<Kernel> {
    const key = kernelKey(source);
    let kernel = this.#kernels.get(key);
    if (!kernel) {
      kernel = this.#compile(source);
      this.#kernels.set(key, kernel);
    }
    return kernel;
  }

  async #compile(source: KernelSource): Promise<Kernel> {
    const { files = [], code } = source;
    const texts = await Promise.all(files.map((file) => this.#load(file, source)));
    return Kernel.compile(this.device, source, code === undefined ? texts : [...texts, code]);
  }

  async #load(file: string, source: KernelSource): Promise<string> {
    try {
      return await this.loadShader(file);
    } catch (error) {
      const why = (error as Error).message;
      throw new EngineError(
        `The kernel ${kernelName(source)} needs shaders/${file}, which cannot be loaded: ${why}`,
        {
          cause: error,
        },
      );
    }
  }

  /**
   * Runs `make`, which creates buffers, and waits until the device has reported whether it had the memory.
   * @throws OutOfMemoryError with `what` in its message. The caller must free what `make` created.
   */
  async allocate<T>(what: string, make: () => T): Promise<T> {
    this.device.pushErrorScope('out-of-memory');
    let made: T;
    try {
      made = make();
    } finally {
      const error = await this.device.popErrorScope();
      if (error) {
        // biome-ignore lint/correctness/noUnsafeFinally: the lack of memory explains any other error.
        throw noMemoryFor(what);
      }
    }
    this.check();
    return made;
  }

  /** Bytes of the largest buffer that can be made and bound as a whole. */
  get largestBuffer(): number {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits;
    return Math.min(maxStorageBufferBindingSize, maxBufferSize);
  }

  /**
   * Workgroups along one dimension for a kernel that takes its work in strides: `wanted`, or as many as the adapter can
   * dispatch.
   */
  groups(wanted: number): number {
    return Math.min(wanted, this.device.limits.maxComputeWorkgroupsPerDimension);
  }

  /** @throws LimitError if a buffer of that many bytes is larger than the adapter can bind. */
  checkSize(what: string, bytes: number, limit = this.largestBuffer): void {
    if (bytes > limit) {
      throw new LimitError(
        `${what} needs ${megabytes(bytes)} in one buffer, and this adapter (${this.name}) allows ${megabytes(limit)}.`,
      );
    }
  }

  /**
   * A storage buffer of zeros.
   * @param bytes a multiple of 4. @param usage other usages that it has as well.
   * @throws LimitError if it is larger than the adapter can bind.
   */
  buffer(label: string, bytes: number, usage: GPUBufferUsageFlags = 0): GPUBuffer {
    this.checkSize(label, bytes);
    const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
    return this.#make(label, bytes, STORAGE | COPY_DST | COPY_SRC | usage);
  }

  /** A uniform buffer with these numbers, which are u32, or f32 by their bits. @throws LimitError. */
  uniform(label: string, values: Uint32Array<ArrayBuffer>): GPUBuffer {
    const bytes = Math.ceil(values.byteLength / 16) * 16;
    this.checkSize(label, bytes, this.device.limits.maxUniformBufferBindingSize);
    const buffer = this.#make(label, bytes, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    this.write(buffer, values);
    return buffer;
  }

  /** A buffer for reading back: others are copied to it, and `map` reads it. @throws LimitError. */
  staging(label: string, bytes: number): GPUBuffer {
    this.checkSize(label, bytes, this.device.limits.maxBufferSize);
    return this.#make(label, bytes, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
  }

  /** A buffer for the host to fill: mapped, and others are copied from it. @throws LimitError, OutOfMemoryError. */
  upload(label: string, bytes: number): GPUBuffer {
    this.checkSize(label, bytes, this.device.limits.maxBufferSize);
    return this.#make(label, bytes, GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC, true);
  }

  #make(label: string, size: number, usage: GPUBufferUsageFlags, mappedAtCreation = false): GPUBuffer {
    if (!Number.isInteger(size / 4) || size <= 0) {
      throw new RangeError(
        `${label} cannot have ${size} bytes: the size of a buffer is a positive multiple of 4`,
      );
    }
    try {
      const buffer = this.device.createBuffer({ label, size, usage, mappedAtCreation });
      this.#own(buffer, size);
      return buffer;
    } catch (error) {
      // One that is to be mapped is refused at once, where there is no memory.
      throw mappedAtCreation && error instanceof RangeError ? noMemoryFor(label) : error;
    }
  }

  /** A storage texture of f32 RGBA texels, for kernels to read and commands to copy to. @throws LimitError. */
  texture(label: string, size: readonly [width: number, height: number, layers: number]): GPUTexture {
    const { maxTextureDimension2D: side, maxTextureArrayLayers: layers } = this.device.limits;
    if (Math.max(size[0], size[1]) > side || size[2] > layers) {
      throw new LimitError(
        `${label} needs ${size[2]} layers of ${size[0]} x ${size[1]} texels, and this adapter (${this.name}) allows ${layers} of ` +
          `${side} x ${side}.`,
      );
    }
    const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST;
    const texture = this.device.createTexture({ label, size: [...size], format: 'rgba32float', usage });
    this.#own(texture, size[0] * size[1] * size[2] * 16);
    return texture;
  }

  #own(made: GPUBuffer | GPUTexture, bytes: number): void {
    this.#allocated.set(made, bytes);
    this.#allocatedBytes += bytes;
  }

  /** Frees a buffer or a texture; does nothing if it was freed before. */
  free(made: GPUBuffer | GPUTexture): void {
    made.destroy();
    this.#freed.add(made);
    this.#allocatedBytes -= this.#allocated.get(made) ?? 0;
    this.#allocated.delete(made);
  }

  /**
   * Writes to a buffer, after all work that was submitted before.
   * @param bytes a multiple of 4.
   * @param offset where they begin, a multiple of 4.
   * @throws ClosedError if the buffer was freed; RangeError if it is too short; TypeError if they are no bytes.
   */
  write(buffer: GPUBuffer, bytes: ArrayBuffer | ArrayBufferView<ArrayBuffer>, offset = 0): void {
    this.checkUse(buffer);
    if (typeof bytes?.byteLength !== 'number') {
      throw new TypeError(
        `What is written to ${buffer.label} is of type ${typeOf(bytes)}; expected a typed array, such as a Float32Array`,
      );
    }
    if (isShared(bytes)) {
      throw new TypeError(
        `What is written to ${buffer.label} is in shared memory, which not every WebGPU can read; expected an array of its own`,
      );
    }
    if (offset % 4 !== 0 || bytes.byteLength % 4 !== 0 || offset < 0) {
      throw new RangeError(
        `${bytes.byteLength} bytes cannot be written to ${buffer.label} from byte ${offset} on; expected multiples of 4`,
      );
    }
    if (offset + bytes.byteLength > buffer.size) {
      throw new RangeError(
        `${buffer.label} has ${buffer.size} bytes, too few for ${bytes.byteLength} from byte ${offset} on`,
      );
    }
    this.device.queue.writeBuffer(buffer, offset, bytes);
  }

  /** @throws ClosedError if a buffer or texture was freed: the device would reject the command and be unusable afterwards. */
  checkUse(used: GPUBuffer | GPUTexture): void {
    if (this.#freed.has(used)) {
      throw new ClosedError(
        `${used.label} was freed while it was still needed: its owner was closed. Close the owner only when nothing uses it.`,
      );
    }
  }

  /** Waits until everything submitted so far is done. @throws the device's first failure, if there was one. */
  async finish(): Promise<void> {
    await this.settled(this.device.queue.onSubmittedWorkDone());
  }

  /**
   * Copies the first `bytes` bytes of a buffer to the host.
   * @throws ClosedError if it was freed before; RangeError if it is too short or is one that cannot be copied.
   */
  async read(buffer: GPUBuffer, bytes: number = buffer.size): Promise<ArrayBuffer> {
    this.checkUse(buffer);
    if (bytes > buffer.size) {
      throw new RangeError(`${buffer.label} has ${buffer.size} bytes, and ${bytes} cannot be read`);
    }
    if ((buffer.usage & GPUBufferUsage.COPY_SRC) === 0) {
      throw new RangeError(`${buffer.label} cannot be read: only storage buffers can`);
    }
    const staging = this.staging(`A copy of ${buffer.label}`, bytes);
    try {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, bytes);
      this.device.queue.submit([encoder.finish()]);
      return await this.map(staging);
    } finally {
      this.free(staging);
    }
  }

  /**
   * Waits for a staging buffer and returns a copy of its first `bytes` bytes.
   * @throws ClosedError if it is freed meanwhile; the device's first failure.
   */
  async map(staging: GPUBuffer, bytes: number = staging.size): Promise<ArrayBuffer> {
    try {
      await this.settled(staging.mapAsync(GPUMapMode.READ, 0, bytes));
      return (await this.mapped(staging, bytes)).slice(0);
    } catch (error) {
      this.checkUse(staging);
      throw error;
    } finally {
      staging.unmap();
    }
  }

  /** The memory of a buffer that is mapped. @throws the device's first failure, which may have come since then. */
  async mapped(buffer: GPUBuffer, bytes: number = buffer.size): Promise<ArrayBuffer> {
    try {
      return buffer.getMappedRange(0, bytes);
    } catch (error) {
      await this.explain();
      throw error;
    }
  }

  /** Waits for what the device settles, such as the mapping of a buffer. @throws the device's first failure. */
  async settled(promise: Promise<unknown>): Promise<void> {
    try {
      await this.#wait(this.#timed(promise));
    } catch (error) {
      await this.explain();
      throw error;
    }
    this.check();
  }

  /** A lost device, or memory that there is not, first shows as another failure: waits for its own message. @throws it, if there is one. */
  async explain(): Promise<void> {
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    this.check();
  }

  /** The same promise, but it fails if the device does not answer. */
  #timed<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#awaited.add(reject);
      // The clock counts its own turns: the time in which a machine sleeps is not the device's.
      this.#clock ??= setInterval(() => this.#minute(), 60_000);
      const answered = () => {
        this.#awaited.delete(reject);
        this.#minutes = 0;
        if (this.#awaited.size === 0) this.#stopClock();
      };
      promise.finally(answered).then(resolve, reject);
    });
  }

  #minute(): void {
    this.#minutes += 1;
    if (this.#minutes < patience) return;
    this.#hangs = true;
    this.#failure ??= new DeviceLostError(
      `The device (${this.name}) has not answered for ${patience} minutes. What was submitted to it is given up.`,
    );
    this.#stopClock();
    this.#tellLost();
    for (const fail of this.#awaited) fail(this.#failure);
    this.#awaited.clear();
  }

  #stopClock(): void {
    clearInterval(this.#clock);
    this.#clock = undefined;
  }

  /** @throws the device's first failure, if there was one. */
  check(): void {
    if (this.#failure) {
      throw this.#failure;
    }
  }

  /** Frees the device and everything on it. One that does not answer is left alone, since that would wait for it. */
  close(): void {
    this.#stopClock();
    if (!this.#hangs) this.device.destroy();
  }
}

/** Whether an array is in memory that threads share, which not every WebGPU can read: Dawn ends the process. */
export function isShared(data: ArrayBuffer | ArrayBufferView): boolean {
  const buffer = ArrayBuffer.isView(data) ? data.buffer : data;
  return typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer;
}

function noMemoryFor(what: string): OutOfMemoryError {
  return new OutOfMemoryError(
    `The device does not have enough memory for ${what}. Smaller layers, a smaller batch_size or fewer rows need less.`,
  );
}

/** Who withholds the adapter's name: Firefox always does. */
function hostName(): string {
  // Node has a navigator from 21 on.
  const [firefox] = /\bFirefox\b/.exec(globalThis.navigator?.userAgent ?? '') ?? [];
  return firefox ?? 'this system';
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toLocaleString('en', { maximumFractionDigits: 1 })} MiB`;
}
