import { fstatSync, readdirSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import {
  type Activation,
  ConfigError,
  checkRoom,
  closePipes,
  type Dataset,
  type Element,
  findDataFiles,
  isPipe,
  type LoadOptions,
  Model,
  openGpu,
  rowsBetween,
  writeNpy,
  writeSafetensors,
  writeSparse,
} from '../node/index.js';
import { checkAdapter } from './checked.js';
import { loadWithBar } from './data.js';
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
  /** Whether values that are 0 are left out. */
  readonly sparse?: boolean;
  readonly normalize?: string;
  readonly nonfinite?: LoadOptions['nonfinite'];
  readonly window?: number | undefined;
  readonly adapter?: string;
  readonly tune: string;
}

/** The rows that a command writes. */
export interface WrittenRows {
  /** What a row has, in the plural. */
  readonly what: string;
  /** The name of their tensor. */
  readonly tensor: string;
  /** Whether most of their values are 0, so that they can be written without those. */
  readonly sparse: boolean;
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
 * Writes what a saved model makes of each row as f32, block by block, in the format that the ending of the file's name says.
 * @throws EngineError, also if the file that is written is one of those that are read.
 */
export async function writeRows(file: string, values: WriteRowsValues, written: WrittenRows): Promise<void> {
  const { data, out } = values;
  const { kind, sparse } = formatOf(values, written);
  const target = identityOf(out);
  const { files } = data.some(isPipe) ? { files: data } : await findDataFiles(data, values);
  if (target !== undefined && [...files, ...filesOf(file)].some((input) => identityOf(input) === target)) {
    throw new ConfigError(`out is ${out}, which is also read and would be overwritten. Choose another file.`);
  }
  // With `--out /dev/stdout`, lines would get into the values.
  const intoStdout = target !== undefined && target === identityOf(stdout);
  const reporter = new Reporter({ ...values, quiet: values.quiet || intoStdout });
  const signal = interruptible(reporter, 'rows');
  const saved = await readSaved(file, reporter, values.activation);
  const { in_dims } = saved.config;
  const normalize = modelNormalization(file, saved, values.normalize);
  const { image_shape: trained_shape } = saved;
  const { tensor, rows_type, nonfinite, window } = values;
  const own = { data, in_dims, normalize, trained_shape, tensor, rows_type, nonfinite, window, signal };
  const { train: dataset, left_out } = await loadWithBar(reporter, own);
  const opening = await options.openOptions(values);
  const gpu = await openGpu(opening);
  try {
    const model = await Model.from(gpu, saved.config, saved.parameters);
    written.prepare?.(model);
    await checkAdapter({ gpu, opening, reporter });
    const { rows } = dataset;
    const width = written.width(model);
    // How much sparse rows take is known once they are there.
    if (!sparse) await checkRoom(dirname(out), rows * width * 4, out);
    const each = Math.max(1, Math.floor(bytesAtATime / (4 * Math.max(width, in_dims))));
    async function* blocks() {
      for (let first = 0; first < rows; first += each) {
        // If this throws, what was written is removed.
        signal.throwIfAborted();
        yield await written.of(model, await rowsBetween(dataset, first, Math.min(rows, first + each)));
      }
    }
    const shape = [rows, width] as const;
    const said = `${out}  ${count(rows)} rows of ${width} ${written.what}`;
    const told = { out, rows, [written.field]: width };
    if (kind === 'npy') await writeNpy(out, shape, blocks());
    else if (!sparse) await writeSafetensors(out, written.tensor, shape, blocks());
    const nonzero = sparse ? await writeSparse(out, kind, shape, blocks(), signal) : undefined;
    reporter.line(nonzero === undefined ? said : `${said}, of which ${count(nonzero)} values are not 0`);
    if (left_out) reporter.warn(gapsInWords(out, left_out));
    reporter.json({ ...told, ...(nonzero !== undefined && { nonzero }), ...(left_out && { left_out }) });
  } finally {
    closePipes();
    gpu.close();
  }
}

/** Rows that are named in a sentence, at most. */
const mostNamed = 20;

function gapsInWords(out: string, left_out: readonly number[]): string {
  const some = left_out.slice(0, mostNamed).join(', ');
  const more = left_out.length - mostNamed;
  const others = more > 0 ? ` and ${count(more)} more, which --json lists` : '';
  return `${out} lacks ${left_out.length === 1 ? 'row' : 'rows'} ${some}${others} of the data (from 0): rows after one that is left out move up by one.`;
}

/** What a file of rows is. */
type Format =
  | { readonly kind: 'npy'; readonly sparse: false }
  | { readonly kind: 'safetensors'; readonly sparse: boolean }
  | { readonly kind: 'npz'; readonly sparse: true };

/** By the ending of its name. What is no file, or has its name from the system, is written to as a .npy file. @throws ConfigError. */
function formatOf({ out, sparse = false }: WriteRowsValues, written: WrittenRows): Format {
  const ending = isStream(out) ? '.npy' : extname(out).toLowerCase();
  if (ending === '.safetensors') return { kind: 'safetensors', sparse };
  if (ending === '.npz' && written.sparse) return { kind: 'npz', sparse: true };
  if (ending !== '.npy') {
    const endings = written.sparse ? '.npy, .safetensors or .npz' : '.npy or .safetensors';
    throw new ConfigError(`out is ${out}; expected a file whose name ends in ${endings}.`);
  }
  if (sparse) {
    throw new ConfigError(
      `out is ${out}, and a .npy file has a value for each latent of each row. Leave sparse out, or name a .npz or .safetensors file.`,
    );
  }
  return { kind: 'npy', sparse };
}

function isStream(file: string): boolean {
  try {
    return /^\/(dev|proc)\//.test(file) || !statSync(file).isFile();
  } catch {
    return false;
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
