import { dirname } from 'node:path';
import {
  ConfigError,
  checkFile,
  checkTableName,
  type EngineError,
  isOurTable,
  type MetricsLog,
  makeFolder,
  TableLog,
  TensorboardLog,
} from '../node/index.js';
import type { Reporter } from './reporter.js';

/** Where metrics go besides metrics.jsonl. */
export interface MetricsLogValues {
  readonly step_metrics?: string;
  readonly epoch_metrics?: string;
  readonly tensorboard?: string;
}

/** The files of metrics that a run writes. One that cannot be written any more does not end the training. */
export class MetricsLogs {
  /** Why one could not be written. */
  failure: EngineError | undefined;
  #logs: readonly MetricsLog[];
  readonly #tables: readonly TableLog[];
  /** Tables that this run had not come to write when it was saved. */
  #unwritten: readonly string[] | undefined;

  constructor(
    { step_metrics, epoch_metrics, tensorboard }: MetricsLogValues,
    readonly reporter: Reporter,
  ) {
    this.#tables = [
      ...(step_metrics === undefined ? [] : [new TableLog(step_metrics, 'step')]),
      ...(epoch_metrics === undefined ? [] : [new TableLog(epoch_metrics, 'epoch')]),
    ];
    this.#logs = [...this.#tables, ...(tensorboard === undefined ? [] : [new TensorboardLog(tensorboard)])];
  }

  /** Checks options before anything is done. @throws ConfigError. */
  static check({ step_metrics, epoch_metrics }: MetricsLogValues): void {
    for (const [option, file] of Object.entries({ step_metrics, epoch_metrics })) {
      if (file !== undefined) checkTableName(option, file);
    }
    if (step_metrics !== undefined && step_metrics === epoch_metrics) {
      throw new ConfigError(`step_metrics and epoch_metrics are both ${step_metrics}. Name two files.`);
    }
  }

  /** Checks, before the training, that they can be written. @throws EngineError. */
  static async prepare({ step_metrics, epoch_metrics, tensorboard }: MetricsLogValues): Promise<void> {
    for (const file of [step_metrics, epoch_metrics]) {
      if (file === undefined) continue;
      await makeFolder(dirname(file));
      await checkFile(file, isOurTable);
    }
    if (tensorboard !== undefined) await makeFolder(tensorboard);
  }

  /** Tables that nothing of this run is in: what is there is an earlier one's. */
  get unwritten(): readonly string[] {
    const others = this.#tables.filter(
      ({ begun, path }) => !begun && (this.#unwritten?.includes(path) ?? true),
    );
    return others.map(({ path }) => path);
  }

  /**
   * Has each forget what comes after a step, from which the training goes on.
   * @param unwritten as it was when that was saved.
   */
  rewind(step: number, epoch: number, unwritten: readonly string[]): void {
    this.#unwritten = unwritten;
    this.write((log) => {
      const missing = log.rewind(
        step,
        epoch,
        !(log instanceof TableLog) || log.begun || !unwritten.includes(log.path),
      );
      if (missing !== undefined) this.reporter.warn(missing);
    });
  }

  /** Writes to each. */
  write(to: (log: MetricsLog) => void): void {
    for (const log of this.#logs) {
      try {
        to(log);
      } catch (error) {
        // The training matters more than its record.
        this.reporter.warn(`${(error as Error).message} Training goes on.`);
        this.failure ??= error as EngineError;
        this.#logs = this.#logs.filter((other) => other !== log);
        this.#close(log);
      }
    }
  }

  /** A failure is kept as all others are: some systems tell only now that something could not be written. */
  close(): void {
    for (const log of this.#logs) this.#close(log);
  }

  #close(log: MetricsLog): void {
    try {
      log.close();
    } catch (error) {
      this.failure ??= error as EngineError;
    }
  }
}
