import { closeSync, fstatSync, ftruncateSync, openSync, truncateSync, writeSync } from 'node:fs';
import { EngineError } from '../../gpu/errors.js';
import type { EpochMetrics, Metrics, SparsityName, StepMetrics } from '../../sae/index.js';
import { describeFileError } from '../data/files.js';

/** A file that gets metrics while a model is trained. Its methods throw EngineError if it cannot be written. */
export interface MetricsLog {
  steps(metrics: readonly StepMetrics<SparsityName>[]): void;
  /** @param step after which the epoch ended. */
  epoch(metrics: EpochMetrics<SparsityName>, step: number): void;
  /**
   * Forgets what comes after a step, from which the training goes on; at first, of the file of an earlier process.
   * @param epoch the last one that had ended by then. @param own whether what is there is of this run, which may never have come to write it.
   * @returns what is missing of the steps or epochs before, in a sentence.
   */
  rewind(step: number, epoch: number, own: boolean): string | undefined;
  /** Of held-out rows. */
  heldOut(metrics: Metrics<SparsityName>, step: number): void;
  close(): void;
}

/** A file that grows from the first bytes on: until then, an earlier one stays. What is appended is in the system's hands when `append` returns. */
export class GrowingFile {
  #file: number | undefined;
  #begun = false;

  constructor(readonly path: string) {}

  /** Whether what is there is what was written here. */
  get begun(): boolean {
    return this.#begun;
  }

  /** @throws EngineError if not all of it could be written; then nothing of it is there. */
  append(bytes: Uint8Array): void {
    let before: number | undefined;
    try {
      this.#file ??= openSync(this.path, this.#begun ? 'a' : 'w');
      this.#begun = true;
      before = fstatSync(this.#file).size;
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      if (before !== undefined) this.#forget(before);
      throw new EngineError(`${this.path} cannot be written: ${describeFileError(error)}.`, { cause: error });
    }
  }

  /** Goes on after the first `bytes` bytes of what is there. @throws EngineError. */
  cut(bytes: number): void {
    this.close();
    try {
      truncateSync(this.path, bytes);
      this.#file = openSync(this.path, 'a');
      this.#begun = true;
    } catch (error) {
      throw new EngineError(`${this.path} cannot be written: ${describeFileError(error)}.`, { cause: error });
    }
  }

  /** A pipe, for one, has nothing to forget. */
  #forget(before: number): void {
    try {
      ftruncateSync(this.#file!, before);
    } catch {
      // The failure that led here is reported.
    }
  }

  /** @throws EngineError if not all of it could be written. */
  close(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    try {
      const { nlink } = fstatSync(file);
      closeSync(file);
      if (nlink === 0) throw new Error('it was removed meanwhile');
    } catch (error) {
      throw new EngineError(`${this.path} cannot be written: ${describeFileError(error)}.`, { cause: error });
    }
  }
}
