import { DeviceLostError, EngineError, LimitError, NoAdapterError, OutOfMemoryError } from './errors.js';
import { Kernel, type KernelSource, kernelKey } from './kernel.js';
import { Tuner, type TuningOptions } from './tuner.js';

/** Gives the text of a file in `shaders/`. The host injects it: a disk, a bundle or a server. */
export type ShaderLoader = (file: string) => string | Promise<string>;

/** What a host may say of how a GPU is used. */
export interface GpuOptions extends TuningOptions {
  /** How the host waits for a software adapter; it need do nothing but give the promise back. */
  readonly wait?: <T>(promise: Promise<T>) => Promise<T>;
}

/** Which adapter is preferred where there are several. */
export const adapterRequest: GPURequestAdapterOptions = { powerPreference: 'high-performance' };

/**
 * An adapter and its device, opened with all that the adapter allows, and the kernels compiled for it.
 * Knows how to fail: a lost device, no memory, an invalid command.
 */
export class Gpu {
  readonly #kernels = new Map<string, Promise<Kernel>>();
  readonly #shaders: ShaderLoader;
  readonly #wait: <T>(promise: Promise<T>) => Promise<T>;
  /** Chooses how GEMMs are laid out. */
  readonly tuner: Tuner;
  #failure: EngineError | undefined;
  readonly #buffers = new Set<GPUBuffer>();
  #allocatedBytes = 0;

  private constructor(
    readonly adapter: GPUAdapter,
    readonly device: GPUDevice,
    shaders: ShaderLoader,
    options: GpuOptions,
  ) {
    this.#shaders = shaders;
    this.tuner = new Tuner(this, shaders, options);
    this.#wait = (this.software && options.wait) || ((promise) => promise);
    device.lost.then((info) => {
      this.#failure ??= new DeviceLostError(
        info.reason === 'destroyed'
          ? 'The device was closed while it was in use.'
          : `The device was lost: ${oneLine(info.message)}. What was on it is gone; start again, from a saved model if there is one.`,
      );
    });
    device.onuncapturederror = ({ error }) => {
      this.#failure ??=
        error instanceof GPUOutOfMemoryError
          ? new OutOfMemoryError(`The device is out of memory: ${oneLine(error.message)}.`)
          : new EngineError(`The device refused a command: ${error.message}`);
    };
  }

  /**
   * Opens the adapter that `provider` prefers, with its own limits and the features that the engine can use.
   * @param provider `navigator.gpu`, or Dawn's object of the same kind.
   * @throws NoAdapterError where there is none.
   */
  static async open(provider: GPU, shaders: ShaderLoader, options: GpuOptions = {}): Promise<Gpu> {
    const adapter = await provider.requestAdapter(adapterRequest);
    if (!adapter) {
      throw new NoAdapterError('No WebGPU adapter was found.');
    }
    const requiredLimits: Record<string, number> = {};
    for (const limit of usedLimits) {
      requiredLimits[limit] = adapter.limits[limit];
    }
    const requiredFeatures = usedFeatures.filter((feature) => adapter.features.has(feature));
    const device = await adapter.requestDevice({ requiredLimits, requiredFeatures });
    return new Gpu(adapter, device, shaders, options);
  }

  /** True where a processor stands in for a GPU. */
  get software(): boolean {
    return this.adapter.info.isFallbackAdapter;
  }

  /** Invocations a subgroup, where that is one known number that `gemm_subgroup.wgsl` can use; else undefined. */
  get subgroupSize(): number | undefined {
    const { subgroupMinSize, subgroupMaxSize } = this.adapter.info;
    const usable = this.device.features.has('subgroups') && subgroupMinSize === subgroupMaxSize;
    return usable && (subgroupMinSize === 4 || subgroupMinSize === 8) ? subgroupMinSize : undefined;
  }

  /** Bytes of the storage buffers that there are. */
  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** The adapter's name as a person would say it. */
  get name(): string {
    const { description, device, architecture, vendor } = this.adapter.info;
    return description || device || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed adapter';
  }

  /** Compiles a kernel, or gives the one that was compiled before from the same source. */
  kernel(source: KernelSource): Promise<Kernel> {
    const key = kernelKey(source);
    let kernel = this.#kernels.get(key);
    if (!kernel) {
      kernel = Promise.all(source.files.map((file) => this.#shaders(file))).then((texts) =>
        Kernel.compile(this.device, source, texts),
      );
      this.#kernels.set(key, kernel);
    }
    return kernel;
  }

  /**
   * Runs `make`, which creates buffers, and waits until the device has said whether it had the memory.
   * @throws OutOfMemoryError with `what` in its sentence. Whatever `make` created is the caller's to destroy.
   */
  async allocate<T>(what: string, make: () => T): Promise<T> {
    this.device.pushErrorScope('out-of-memory');
    let made: T;
    try {
      made = make();
    } finally {
      const error = await this.device.popErrorScope();
      if (error) {
        // biome-ignore lint/correctness/noUnsafeFinally: the lack of memory explains whatever else went wrong.
        throw new OutOfMemoryError(
          `The device has not enough memory for ${what}. Smaller layers, a smaller batch_size or fewer rows need less.`,
        );
      }
    }
    this.check();
    return made;
  }

  /** Bytes that a buffer can have and be bound as a whole. */
  get largestBuffer(): number {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits;
    return Math.min(maxStorageBufferBindingSize, maxBufferSize);
  }

  /** @throws LimitError where a buffer of that many bytes is more than the adapter can bind. */
  checkSize(what: string, bytes: number): void {
    const limit = this.largestBuffer;
    if (bytes > limit) {
      throw new LimitError(
        `${what} needs ${megabytes(bytes)} in one piece, and this adapter (${this.name}) allows ${megabytes(limit)}.`,
      );
    }
  }

  /** A storage buffer of zeros. @throws LimitError where it is larger than the adapter can bind. */
  buffer(label: string, bytes: number, usage: GPUBufferUsageFlags = 0): GPUBuffer {
    this.checkSize(label, bytes);
    const buffer = this.device.createBuffer({
      label,
      size: bytes,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC | usage,
    });
    this.#buffers.add(buffer);
    this.#allocatedBytes += bytes;
    return buffer;
  }

  /** Frees a buffer, also one that was freed before. */
  free(buffer: GPUBuffer): void {
    buffer.destroy();
    if (this.#buffers.delete(buffer)) {
      this.#allocatedBytes -= buffer.size;
    }
  }

  /** Waits until everything submitted so far is done. @throws what has gone wrong meanwhile. */
  async finish(): Promise<void> {
    await this.#wait(this.device.queue.onSubmittedWorkDone());
    this.check();
  }

  /** Copies `bytes` bytes of a buffer to the host. */
  async read(buffer: GPUBuffer, bytes: number = buffer.size): Promise<ArrayBuffer> {
    const staging = this.device.createBuffer({
      size: bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    try {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, bytes);
      this.device.queue.submit([encoder.finish()]);
      return await this.map(staging);
    } finally {
      staging.destroy();
    }
  }

  /** Waits for a buffer made for reading, and gives a copy of its first `bytes` bytes. */
  async map(staging: GPUBuffer, bytes: number = staging.size): Promise<ArrayBuffer> {
    try {
      await this.#wait(staging.mapAsync(GPUMapMode.READ, 0, bytes));
      this.check();
      return staging.getMappedRange(0, bytes).slice(0);
    } catch (error) {
      // A lost device shows first as a failed mapping: let its own message arrive.
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
      this.check();
      throw error;
    } finally {
      staging.unmap();
    }
  }

  /** @throws the first failure that the device has reported, if it has reported one. */
  check(): void {
    if (this.#failure) {
      throw this.#failure;
    }
  }

  /** Frees the device and everything on it. */
  close(): void {
    this.device.destroy();
  }
}

const usedFeatures: readonly GPUFeatureName[] = ['subgroups', 'timestamp-query'];
const usedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
] as const;

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toLocaleString('en', { maximumFractionDigits: 1 })} MiB`;
}

function oneLine(message: string): string {
  return message.trim().replace(/\s+/g, ' ').replace(/\.$/, '');
}
