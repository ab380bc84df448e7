import { closeSync, openSync, writeSync } from 'node:fs';
import { EngineError } from '../../gpu/errors.js';
import type { EpochMetrics, Metrics, SparsityName, StepMetrics } from '../../sae/index.js';
import { describeFileError } from '../data/files.js';

/** A file that gets metrics while a model is trained. Its methods throw EngineError if it cannot be written. */
export interface MetricsLog {
  steps(metrics: readonly StepMetrics<SparsityName>[]): void;
  /** @param step after which the epoch ended. */
  epoch(metrics: EpochMetrics<SparsityName>, step: number): void;
  /** Of held-out rows. */
  heldOut(metrics: Metrics<SparsityName>, step: number): void;
  close(): void;
}

/** A file that grows from the first bytes on: until then, an earlier one stays. What is appended is in the system's hands when `append` returns. */
export class GrowingFile {
  #file: number | undefined;

  constructor(readonly path: string) {}

  /** @throws EngineError if not all of it could be written. */
  append(bytes: Uint8Array): void {
    try {
      this.#file ??= openSync(this.path, 'w');
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      throw new EngineError(`${this.path} cannot be written: ${describeFileError(error)}.`, { cause: error });
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }
}
