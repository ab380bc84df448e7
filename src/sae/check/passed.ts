import { adapterKey, readEntries, type TuningStore, writeEntry } from '../../gpu/gemm/tuner.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { CheckResult } from './index.js';

/** What is stored for an adapter and driver: names of checks, for as long as the engine is the same. */
interface Entry {
  readonly engine: string;
  readonly passed: readonly string[];
}

/** Keeps which checks each adapter has passed, in a host's storage. Without storage they are made again. */
export class PassedChecks {
  /** @param engine names all that answers depend on beside adapter and driver: above all the text of the kernels. */
  constructor(
    private readonly store: TuningStore,
    private readonly engine: () => Promise<string>,
  ) {}

  /** Those that this adapter has passed with this driver and engine. */
  async of(gpu: Gpu): Promise<ReadonlySet<string>> {
    const entry = (await readEntries<Entry>(this.store))[adapterKey(gpu)];
    const current = entry?.engine === (await this.engine()) && Array.isArray(entry.passed);
    return new Set(current ? entry.passed : []);
  }

  /** Stores what it has passed besides, and does not keep what it has failed. */
  async remember(gpu: Gpu, results: readonly Pick<CheckResult, 'name' | 'ok'>[]): Promise<void> {
    const all = new Set(await this.of(gpu));
    for (const { name, ok } of results) {
      if (ok) all.add(name);
      else all.delete(name);
    }
    await writeEntry(this.store, gpu, { engine: await this.engine(), passed: [...all] } satisfies Entry);
  }
}
