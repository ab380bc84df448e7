import { create, globals } from 'webgpu';
import { NoAdapterError } from '../gpu/errors.js';
import { adapterRequest, Gpu } from '../gpu/gpu.js';
import type { TuningOptions } from '../gpu/tuner.js';
import { patiently } from './patience.js';
import { loadShader } from './shaders.js';
import { tuningStore } from './tuning.js';

/** An adapter that Dawn offers. */
interface AdapterName {
  /** Dawn's backend: `vulkan`, `metal`, `d3d12`. */
  readonly backend: string;
  readonly name: string;
}

/** What `sae devices` tells about an adapter. */
export interface AdapterDescription extends AdapterName {
  readonly vendor: string;
  readonly architecture: string;
  readonly driver: string;
  /** True where a processor stands in for a GPU. */
  readonly software: boolean;
  /** Whether it is the one that is used where none is named. */
  readonly used: boolean;
  readonly limits: Readonly<Record<string, number>>;
  readonly features: readonly string[];
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

/** The adapters that Dawn finds on this machine. */
async function listAdapters(): Promise<AdapterName[]> {
  try {
    // Dawn names its adapters only in the message for one that does not exist.
    await provider(['adapter=(none of this name)']).requestAdapter();
    return [];
  } catch (error) {
    const lines = (error as Error).message.matchAll(/backend: '([^']*)', name: '(.*)'/g);
    return [...lines].map(([, backend, name]) => ({ backend, name }));
  }
}

/** Describes the adapters that Dawn finds on this machine. */
export async function describeAdapters(): Promise<AdapterDescription[]> {
  const preferred = await provider([]).requestAdapter(adapterRequest);
  const descriptions: AdapterDescription[] = [];
  for (const found of await listAdapters()) {
    const adapter = await provider(flagsFor(found)).requestAdapter(adapterRequest);
    if (!adapter) {
      continue;
    }
    const { info } = adapter;
    const limits: Record<string, number> = {};
    for (const name in adapter.limits) {
      const value = adapter.limits[name as keyof GPUSupportedLimits];
      if (typeof value === 'number') {
        limits[name] = value;
      }
    }
    descriptions.push({
      ...found,
      vendor: info.vendor,
      architecture: info.architecture,
      driver: info.description,
      software: info.isFallbackAdapter,
      used: preferred?.info.device === info.device && preferred.info.description === info.description,
      limits,
      features: [...adapter.features].sort(),
    });
  }
  return descriptions;
}

function flagsFor({ backend, name }: AdapterName): string[] {
  return [`backend=${backend}`, `adapter=${name}`];
}

/** Which adapter, and how the layout of its GEMMs is chosen. */
export interface OpenOptions extends Omit<TuningOptions, 'store'> {
  /** Part of the name of the adapter to use; by default the one that Dawn prefers. */
  readonly adapter?: string | undefined;
}

/**
 * Opens a GPU, or a processor that stands in for one. Tiles that were found are kept in the user's cache folder.
 * @throws NoAdapterError with what to install, or with the names that there are.
 */
export async function openGpu({ adapter, ...options }: OpenOptions = {}): Promise<Gpu> {
  const how = { ...options, store: tuningStore, wait: patiently };
  if (adapter === undefined) {
    try {
      return await Gpu.open(provider([]), loadShader, how);
    } catch (error) {
      throw error instanceof NoAdapterError ? new NoAdapterError(`${error.message} ${howToGetOne}`) : error;
    }
  }
  const wanted = adapter.toLowerCase();
  const offered = await listAdapters();
  const names = offered.map(({ name }) => name.toLowerCase());
  const exact = names.indexOf(wanted);
  const match = offered[exact >= 0 ? exact : names.findIndex((name) => name.includes(wanted))];
  if (!match) {
    const quoted = offered.map(({ name }) => `"${name}"`).join(', ');
    throw new NoAdapterError(
      offered.length > 0
        ? `No adapter has "${adapter}" in its name. There are: ${quoted}.`
        : `No WebGPU adapter was found. ${howToGetOne}`,
    );
  }
  return Gpu.open(provider(flagsFor(match)), loadShader, how);
}
