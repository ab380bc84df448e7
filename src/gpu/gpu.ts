import { Device, type ShaderLoader, type Wait } from './device.js';
import { DeviceLostError, NoAdapterError } from './errors.js';
import { Tuner, type TuningOptions } from './gemm/tuner.js';

/** How a host wants a GPU to be used. */
export interface GpuOptions extends TuningOptions {
  readonly wait?: Wait;
}

/** Which adapter is preferred if there are several. */
export const adapterRequest: GPURequestAdapterOptions = { powerPreference: 'high-performance' };

const usedFeatures: readonly GPUFeatureName[] = ['subgroups', 'timestamp-query'];
/**
 * The device gets the adapter's own limits, except for storage buffers per kernel: a kernel that runs on one adapter
 * must run on all, and every adapter allows 8.
 */
const usedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxTextureDimension2D',
  'maxTextureArrayLayers',
] as const;

/** A GPU, or a software adapter, opened with all that the adapter allows. */
export class Gpu extends Device {
  readonly tuner: Tuner;

  private constructor(adapter: GPUAdapter, device: GPUDevice, shaders: ShaderLoader, options: GpuOptions) {
    super(adapter, device, shaders, options.wait);
    this.tuner = new Tuner(this, options);
  }

  /**
   * Opens the adapter that `provider` prefers, with the features that the engine can use.
   * @param provider `navigator.gpu`, or Dawn's object of the same kind.
   * @throws NoAdapterError if there is none; DeviceLostError if it gives no device.
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
    const device = await adapter.requestDevice({ requiredLimits, requiredFeatures }).catch((error) => {
      const { description, device: name } = adapter.info;
      throw new DeviceLostError(
        `The adapter ${description || name || 'that was found'} cannot be used now: ${error.message.trim().replace(/\.$/, '')}. ` +
          'Other programs may have taken all of it, or its driver is at fault.',
        { cause: error },
      );
    });
    return new Gpu(adapter, device, shaders, options);
  }
}
