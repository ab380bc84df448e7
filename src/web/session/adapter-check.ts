import {
  type CheckResult,
  checkDevice,
  checkNames,
  Gpu,
  PassedChecks,
  type SparsityName,
  wrongInWords,
} from '../../sae/index.js';
import { loadShader, shadersHash } from '../browser/shaders.js';
import { checksStore } from '../browser/stores.js';
import type { Run } from './run.js';

/** Milliseconds after which what is not known yet is left to the next visit. */
const patience = 60_000;

// Browsers do not name drivers, and compile kernels themselves.
const passedChecks = new PassedChecks(
  checksStore,
  async () => `${navigator.userAgent} ${await shadersHash()}`,
);

/** Holds the adapter against known answers of what it is used for, on a device of its own, beside the training. What it has passed is kept for later visits. */
export class AdapterCheck {
  readonly #found: (sentence: string) => void;
  readonly #begun = new WeakSet<Run>();
  #wrong: string | undefined;
  #work: Promise<void> = Promise.resolve();

  /** @param found is called with what is wrong. */
  constructor(found: (sentence: string) => void) {
    this.#found = found;
  }

  /** What is wrong with the adapter, as far as it is known: nothing may be trained on it. */
  get wrong(): string | undefined {
    return this.#wrong;
  }

  /** Settles when all has been checked that was begun. */
  get done(): Promise<void> {
    return this.#work;
  }

  /** Begins to check what a run uses, unless it was. */
  begin(run: Run): void {
    if (this.#begun.has(run)) return;
    this.#begun.add(run);
    const { gpu, trainer } = run;
    // An adapter that cannot be opened once more, or is lost, is not known to be wrong.
    this.#work = this.#work.then(() => this.#check(gpu, trainer.config.sparsity)).catch(() => {});
  }

  async #check(gpu: Gpu, sparsity: SparsityName): Promise<void> {
    const which = { of: { tiles: gpu.tuner.tiles, sparsity }, passed: await passedChecks.of(gpu) };
    if (checkNames(gpu, which).length === 0) return;
    const results: CheckResult[] = [];
    const own = await Gpu.open(navigator.gpu, loadShader, { tune: 'off' });
    const timer = setTimeout(() => own.close(), patience);
    try {
      for await (const result of checkDevice(own, which)) results.push(result);
    } finally {
      clearTimeout(timer);
      own.close();
      await passedChecks.remember(gpu, results);
      this.#tell(wrongInWords(gpu, results));
    }
  }

  #tell(wrong: string | undefined): void {
    if (wrong === undefined || this.#wrong !== undefined) return;
    this.#wrong = `${wrong} Nothing is trained on it. Update its driver or this browser, or open the page in another one.`;
    this.#found(this.#wrong);
  }
}
