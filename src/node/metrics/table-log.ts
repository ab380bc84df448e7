import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import {
  ConfigError,
  EngineError,
  type EpochMetrics,
  type SparsityName,
  type StepMetrics,
} from '../../sae/index.js';
import { describeFileError } from '../data/files.js';
import { beginsWithRecord } from '../first-record.js';
import { GrowingFile, type MetricsLog } from './metrics-log.js';

/** What has a line of its own. */
export type LineOf = 'step' | 'epoch';

/** Endings of such files. */
const endings = ['.csv', '.jsonl'];

/** @throws ConfigError if the name has another ending than .csv or .jsonl. @param option whose value it is. */
export function checkTableName(option: string, file: string): void {
  if (!endings.includes(extname(file).toLowerCase())) {
    throw new ConfigError(
      `${option} is ${file}; expected a file whose name ends in ${endings.join(' or ')}.`,
    );
  }
}

/** The metrics of each step or epoch, a line each: JSON objects, or the columns of a .csv file under their names. */
export class TableLog implements MetricsLog {
  readonly #file: GrowingFile;
  #columns: readonly string[] | undefined;

  constructor(
    readonly path: string,
    readonly of: LineOf,
  ) {
    this.#file = new GrowingFile(path);
  }

  steps(metrics: readonly StepMetrics<SparsityName>[]): void {
    if (this.of === 'step') this.#add(metrics);
  }

  epoch(metrics: EpochMetrics<SparsityName>): void {
    if (this.of === 'epoch') this.#add([metrics]);
  }

  /** Whether the file has something of this process. */
  get begun(): boolean {
    return this.#file.begun;
  }

  rewind(step: number, epoch: number, own = true): string | undefined {
    const last = this.of === 'step' ? step : epoch;
    const { path } = this;
    if (!own) {
      return last > 0
        ? `${path} has no line of this run, which could not write it, and begins with ${this.of} ${last + 1}.`
        : undefined;
    }
    let content: Buffer;
    try {
      content = readFileSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        throw new EngineError(`${path} cannot be gone on with: ${describeFileError(error)}.`, {
          cause: error,
        });
      }
      return last > 0 ? `${path} is gone, and begins with ${this.of} ${last + 1}.` : undefined;
    }
    if (this.#isTable) this.#columns = content.toString('utf8', 0, content.indexOf('\n')).split(',');
    // Lines are in order, and one at the end may be cut short.
    let end = content.lastIndexOf('\n') + 1;
    let found = 0;
    while (end > 0) {
      const begin = end > 1 ? content.lastIndexOf('\n', end - 2) + 1 : 0;
      found = this.#numberIn(content.toString('utf8', begin, end - 1));
      if (found <= last) break;
      end = begin;
    }
    if (end === 0) this.#columns = undefined;
    this.#file.cut(end);
    return found < last ? `${path} has no line of ${this.of} ${found + 1} to ${last}.` : undefined;
  }

  heldOut(): void {}

  close(): void {
    this.#file.close();
  }

  get #isTable(): boolean {
    return extname(this.#file.path).toLowerCase() === '.csv';
  }

  /** The step or epoch of a line; 0 of the names of columns. */
  #numberIn(line: string): number {
    try {
      return Number(this.#isTable ? line.split(',', 1)[0] : JSON.parse(line)[this.of]) || 0;
    } catch {
      return 0;
    }
  }

  #add(metrics: readonly object[]): void {
    if (metrics.length === 0) return;
    const lines = this.#isTable ? this.#fields(metrics) : metrics.map((each) => JSON.stringify(each));
    this.#file.append(Buffer.from(`${lines.join('\n')}\n`));
  }

  /** Numbers, and lists as their numbers with spaces between: nothing that needs quotes. */
  #fields(metrics: readonly object[]): string[] {
    const first = this.#columns === undefined;
    // The step or epoch leads; all lines of a run have the same columns.
    this.#columns ??= [this.of, ...Object.keys(metrics[0]).filter((name) => name !== this.of)];
    const columns = this.#columns;
    const lines = metrics.map((each) => {
      return columns
        .map((name) => (each as Record<string, unknown>)[name] ?? '')
        .map((value) => (Array.isArray(value) ? value.join(' ') : String(value)))
        .join(',');
    });
    return first ? [columns.join(','), ...lines] : lines;
  }
}

/** Whether this program wrote a table of metrics that begins so. */
export function isOurTable(content: Uint8Array): boolean {
  return ['step', 'epoch'].some((of) => beginsWithRecord(content, of, 'loss', 'explained_variance'));
}
