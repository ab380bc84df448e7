import { create, globals } from 'webgpu';
import { NoAdapterError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import { loadShader } from './shaders.js';

/** An adapter that Dawn offers. */
export interface AdapterName {
  /** Dawn's backend: `vulkan`, `metal`, `d3d12`. */
  readonly backend: string;
  /** What `adapter` options match against. */
  readonly name: string;
}

/** What to do where there is no adapter at all. */
const howToGetOne =
  process.platform === 'linux'
    ? 'A GPU needs its Vulkan driver and the Vulkan loader; without a GPU, install Mesa’s software Vulkan driver: ' +
      'mesa-vulkan-drivers and libvulkan1 on Debian and Ubuntu (Debian 12 needs them from bookworm-backports), ' +
      'mesa-vulkan-drivers and vulkan-loader on Fedora, vulkan-swrast and vulkan-icd-loader on Arch.'
    : 'Update the graphics driver.';

/** A provider lives as long as the process: Dawn crashes when one is collected while its objects are in use. */
const pinned = globalThis as typeof globalThis & { webgpuSaeProviders?: GPU[] };

function provider(flags: string[]): GPU {
  Object.assign(globalThis, globals);
  const made = create(flags);
  pinned.webgpuSaeProviders ??= [];
  pinned.webgpuSaeProviders.push(made);
  return made;
}

/** The adapters that Dawn finds on this machine, the preferred one first. */
export async function listAdapters(): Promise<AdapterName[]> {
  try {
    // Dawn names its adapters only in the message for one that does not exist.
    await provider(['adapter=(none of this name)']).requestAdapter();
    return [];
  } catch (error) {
    const lines = (error as Error).message.matchAll(/backend: '([^']*)', name: '(.*)'/g);
    return [...lines].map(([, backend, name]) => ({ backend, name }));
  }
}

/**
 * Opens a GPU, or a processor that stands in for one.
 * @param options.adapter part of the name of the adapter to use; by default the one that Dawn prefers.
 * @throws NoAdapterError with what to install, or with the names that there are.
 */
export async function openGpu({ adapter }: { adapter?: string | undefined } = {}): Promise<Gpu> {
  if (adapter === undefined) {
    try {
      return await Gpu.open(provider([]), loadShader);
    } catch (error) {
      throw error instanceof NoAdapterError ? new NoAdapterError(`${error.message} ${howToGetOne}`) : error;
    }
  }
  const wanted = adapter.toLowerCase();
  const offered = await listAdapters();
  const match = offered.find(({ name }) => name.toLowerCase().includes(wanted));
  if (!match) {
    const names = offered.map(({ name }) => `"${name}"`).join(', ');
    throw new NoAdapterError(
      offered.length > 0
        ? `No adapter has "${adapter}" in its name. There are: ${names}.`
        : `No WebGPU adapter was found. ${howToGetOne}`,
    );
  }
  return Gpu.open(provider([`backend=${match.backend}`, `adapter=${match.name}`]), loadShader);
}
