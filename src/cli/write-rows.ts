import { fstatSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type Activation,
  ConfigError,
  checkRoom,
  type Dataset,
  type Element,
  findDataFiles,
  Model,
  mostInMemory,
  openDataset,
  openGpu,
  rowsBetween,
  writeNpy,
} from '../node/index.js';
import { interruptible } from './interrupt.js';
import * as options from './options.js';
import { count, Reporter, type ReporterOptions } from './reporter.js';
import { modelNormalization, readSaved } from './saved.js';

/** Bytes of rows, or of what is written for them, at a time, so that not all are in memory at once. */
const bytesAtATime = 32 * 2 ** 20;

/** Its file descriptor. */
const stdout = 1;

/** What a command that writes a row for each row takes. */
export interface WriteRowsValues extends ReporterOptions {
  readonly activation?: Activation;
  readonly data: readonly string[];
  readonly tensor?: string | undefined;
  readonly rows_type?: Element | undefined;
  readonly out: string;
  readonly normalize?: string;
  readonly window?: number | undefined;
  readonly adapter?: string;
  readonly tune: string;
}

/** The rows that a command writes. */
export interface WrittenRows {
  /** What a row has, in the plural. */
  readonly what: string;
  /** The name of their number in JSON. */
  readonly field: string;
  /** Their number. */
  width(model: Model): number;
  /** Changes the model before it is used. @throws ConfigError. */
  prepare?(model: Model): void;
  /** Those of a block of rows, [rows, width]. */
  of(model: Model, block: Dataset): Promise<Float32Array>;
}

/**
 * Writes what a saved model makes of each row as a .npy file of f32, block by block.
 * @throws EngineError, also if the file that is written is one of those that are read.
 */
export async function writeRows(file: string, values: WriteRowsValues, written: WrittenRows): Promise<void> {
  const { data, out } = values;
  const target = identityOf(out);
  const { files } = await findDataFiles(data, values);
  if (target !== undefined && [...files, ...filesOf(file)].some((input) => identityOf(input) === target)) {
    throw new ConfigError(`out is ${out}, which is also read and would be overwritten. Choose another file.`);
  }
  // With `--out /dev/stdout`, lines would get into the values.
  const intoStdout = target !== undefined && target === identityOf(stdout);
  const reporter = new Reporter({ ...values, quiet: values.quiet || intoStdout });
  const signal = interruptible(reporter);
  const saved = await readSaved(file, reporter, values.activation);
  const { in_dims } = saved.config;
  const normalize = modelNormalization(file, saved, values.normalize);
  const onNote = (note: string) => reporter.warn(note);
  const { tensor, rows_type } = values;
  const most_memory = mostInMemory(values.window);
  const dataset = await openDataset(data, { in_dims, normalize, tensor, rows_type, onNote, most_memory });
  const gpu = await openGpu(await options.openOptions(values));
  try {
    const model = await Model.from(gpu, saved.config, saved.parameters);
    written.prepare?.(model);
    const { rows } = dataset;
    const width = written.width(model);
    await checkRoom(dirname(out), rows * width * 4, out);
    const each = Math.max(1, Math.floor(bytesAtATime / (4 * Math.max(width, in_dims))));
    async function* blocks() {
      for (let first = 0; first < rows; first += each) {
        // If this throws, writeNpy removes what it has written.
        signal.throwIfAborted();
        yield await written.of(model, await rowsBetween(dataset, first, Math.min(rows, first + each)));
      }
    }
    await writeNpy(out, [rows, width], blocks());
    reporter.line(`${out}  ${count(rows)} rows of ${width} ${written.what}`);
    reporter.json({ out, rows, [written.field]: width });
  } finally {
    gpu.close();
  }
}

/** The files of a model: another program may have saved it as a folder. */
function filesOf(path: string): string[] {
  try {
    return [path, ...readdirSync(path).map((name) => join(path, name))];
  } catch {
    return [path];
  }
}

/** What is the same for all paths to a file; undefined if there is none that can be looked at. */
function identityOf(file: string | typeof stdout): string | undefined {
  try {
    const { dev, ino } =
      file === stdout ? fstatSync(file, { bigint: true }) : statSync(file, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
