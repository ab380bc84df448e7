import { DeviceLostError } from '../node/index.js';
import type { Reporter } from './reporter.js';
import { type Resumed, readResumedFile } from './resume.js';
import type { Snapshots } from './snapshots.js';

/** How often a lost device is opened again without anything saved in between. */
export const mostLosses = 3;

/** Devices that a run has lost. It goes on from its last snapshot or, if there is none yet, from its beginning. */
export class Losses {
  #count = 0;
  #saved: number | undefined;
  /** Whether there was one. */
  any = false;

  /** @param begun the snapshot from which the run goes on, if it does. */
  constructor(
    readonly snapshots: Snapshots | undefined,
    readonly begun: string | undefined,
    readonly reporter: Reporter,
    readonly signal: AbortSignal,
  ) {}

  /** Whether the run goes on after an error, which is then reported. */
  survives(error: unknown): boolean {
    if (!(error instanceof DeviceLostError) || this.signal.aborted) return false;
    const saved = this.snapshots?.saved;
    if (saved !== this.#saved) this.#count = 0;
    this.#saved = saved;
    this.#count += 1;
    if (this.#count > mostLosses) return false;
    this.any = true;
    const [what] = error.message.split(/(?<=\.) /);
    this.reporter.warn(`${what} It is opened again, and training goes on from ${this.#place}.`);
    return true;
  }

  /** What the run goes on from. */
  async last(): Promise<Resumed | undefined> {
    const file = this.snapshots?.saved === undefined ? this.begun : this.snapshots.file;
    return file === undefined ? undefined : readResumedFile(file);
  }

  get #place(): string {
    const saved = this.snapshots?.saved;
    if (saved !== undefined) return `step ${saved.toLocaleString('en')}`;
    return this.begun ?? 'its beginning';
  }
}
