import { NoAdapterError } from '../gpu/errors.js';
import type { TuningOptions } from '../gpu/gemm/tuner.js';
import { adapterRequest, Gpu, type GpuOptions } from '../gpu/gpu.js';
import { loadShader } from './shaders.js';
import { sleepWhilePending } from './sleep.js';
import { tuningStore } from './tuning.js';

/** An adapter that Dawn offers. */
export interface AdapterName {
  /** Dawn's backend: `vulkan`, `metal`, `d3d12`. */
  readonly backend: string;
  readonly name: string;
}

/** What `sae devices` shows of an adapter. */
export interface AdapterDescription extends AdapterName {
  readonly vendor: string;
  readonly architecture: string;
  readonly driver: string;
  /** True for an adapter that runs on the processor instead of a GPU. */
  readonly software: boolean;
  /** Whether it is the one that is used by default. */
  readonly used: boolean;
  readonly limits: Readonly<Record<string, number>>;
  readonly features: readonly string[];
}

/** What to do if there is no adapter at all. */
const howToGetOne =
  process.platform === 'linux'
    ? 'A GPU needs its Vulkan driver and the Vulkan loader; without a GPU, install Mesa’s software Vulkan driver: ' +
      'mesa-vulkan-drivers and libvulkan1 on Debian and Ubuntu (Debian 12 needs them from bookworm-backports), ' +
      'mesa-vulkan-drivers and vulkan-loader on Fedora, vulkan-swrast and vulkan-icd-loader on Arch.'
    : 'Update the graphics driver.';

/**
 * Providers by their flags, kept as long as the process lives: Dawn crashes if one is garbage-collected while its
 * objects are in use. All devices share them, also those of other copies of this module.
 */
const kept = globalThis as typeof globalThis & { webgpuSaeInstances?: Map<string, GPU> };

/**
 * Dawn, loaded only when a GPU is first needed: everything else works without its binary.
 * @throws NoAdapterError if it cannot be loaded, with the loader's message.
 */
async function loadDawn(): Promise<typeof import('webgpu')> {
  try {
    return await import('webgpu');
  } catch (error) {
    throw new NoAdapterError(
      `Dawn, which runs WebGPU here, cannot be loaded (${firstLine(error)}). It supports Windows, macOS, and Linux with ` +
        'glibc 2.34 or later (Alpine has another C library), on x64 and arm64. On another system, use a container with one of ' +
        'these or train in a browser; on these, install the packages again, since a file of the package webgpu is damaged or ' +
        'missing.',
      { cause: error },
    );
  }
}

/** @throws NoAdapterError if Dawn cannot be loaded. */
async function provider(flags: string[]): Promise<GPU> {
  const { create, globals } = await loadDawn();
  Object.assign(globalThis, globals);
  kept.webgpuSaeInstances ??= new Map();
  const key = JSON.stringify(flags);
  const made = kept.webgpuSaeInstances.get(key) ?? create(flags);
  kept.webgpuSaeInstances.set(key, made);
  return made;
}

/**
 * The open devices. Software Vulkan crashes if the process exits while it compiles or computes; closing waits for that.
 */
const open = new Set<Gpu>();
process.on('exit', () => {
  for (const gpu of open) {
    gpu.close();
  }
});

async function opened(made: GPU, options: GpuOptions): Promise<Gpu> {
  const gpu = await Gpu.open(made, loadShader, options);
  open.add(gpu);
  gpu.lost.then(() => open.delete(gpu));
  return gpu;
}

/** The adapters that Dawn finds on this machine. */
async function listAdapters(): Promise<AdapterName[]> {
  // Dawn lists its adapters only in the error message for one that does not exist.
  const made = await provider(['adapter=(none of this name)']);
  try {
    await made.requestAdapter();
    return [];
  } catch (error) {
    const lines = (error as Error).message.matchAll(/backend: '([^']*)', name: '(.*)'/g);
    return [...lines].map(([, backend, name]) => ({ backend, name }));
  }
}

/** Describes the adapters that Dawn finds on this machine. */
export async function describeAdapters(): Promise<AdapterDescription[]> {
  const preferred = await (await provider([])).requestAdapter(adapterRequest);
  const descriptions: AdapterDescription[] = [];
  for (const found of await listAdapters()) {
    const adapter = await (await provider(flagsFor(found))).requestAdapter(adapterRequest);
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

/** Which adapter to open, and how the tiles of its GEMMs are chosen. */
export interface OpenOptions extends Omit<TuningOptions, 'store'> {
  /** Part of the name of the adapter to use; by default the one that Dawn prefers. */
  readonly adapter?: string | undefined;
  /**
   * Whether the thread sleeps for a millisecond in every turn of the event loop while the GPU is waited for; true by default. A
   * software adapter is a tenth to a third faster with it. A server that answers meanwhile wants false.
   */
  readonly sleep?: boolean | undefined;
}

/**
 * Opens a GPU or a software adapter. The tiles that are found are kept in the user's cache folder.
 * @throws NoAdapterError with what to install, the names of the adapters, or the reason why Dawn cannot be loaded.
 */
export async function openGpu({ adapter, sleep = true, ...options }: OpenOptions = {}): Promise<Gpu> {
  const how = { ...options, store: tuningStore, ...(sleep && { wait: sleepWhilePending }) };
  if (adapter === undefined) {
    const made = await provider([]);
    try {
      return await opened(made, how);
    } catch (error) {
      throw error instanceof NoAdapterError ? new NoAdapterError(`${error.message} ${howToGetOne}`) : error;
    }
  }
  return opened(await provider(flagsFor(await adapterNamed(adapter))), how);
}

/** The adapter that has this in its name. @throws NoAdapterError with the names that there are. */
export async function adapterNamed(part: string): Promise<AdapterName> {
  const wanted = part.toLowerCase();
  const offered = await listAdapters();
  const names = offered.map(({ name }) => name.toLowerCase());
  const exact = names.indexOf(wanted);
  const match = offered[exact >= 0 ? exact : names.findIndex((name) => name.includes(wanted))];
  if (!match) {
    const quoted = offered.map(({ name }) => `"${name}"`).join(', ');
    throw new NoAdapterError(
      offered.length > 0
        ? `No adapter has "${part}" in its name. There are: ${quoted}.`
        : `No WebGPU adapter was found. ${howToGetOne}`,
    );
  }
  return match;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split('\n')[0].replace(/\.$/, '');
}
