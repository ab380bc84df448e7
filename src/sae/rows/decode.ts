import { EngineError } from '../../gpu/errors.js';
import { atOnce } from '../at-once.js';
import { ConfigError, DataError } from '../errors.js';
import { blobFiles } from './blob-file.js';
import type { Dataset, ImageShape } from './dataset.js';
import { counted, grouped, recognizedBytes } from './formats/array.js';
import {
  beginnings,
  explained,
  type OpenedRows,
  type OpenOptions,
  type RowFormat,
  type RowsFile,
} from './formats/file.js';
import { image } from './formats/image.js';
import { rowFormats } from './formats/index.js';
import { unpackedName } from './formats/packing.js';
import { raw } from './formats/raw.js';
import { joined } from './joined.js';
import { fitNormalization, type NormalizeOption, type Unnormalized } from './normalize.js';
import { type RowSource, type StoredRows, valueBytes } from './source.js';
import type { RowPlace } from './subset.js';
import { type Watching, watched } from './watched.js';

/** How the rows of a file are to be read. */
export interface DecodeOptions extends OpenOptions, Watching {
  /** By default `mnist` for 8-bit values and `none` for all others. */
  readonly normalize?: NormalizeOption | undefined;
  /** The data set's name in messages; by default the file's name. */
  readonly name?: string;
  /** Gets the names of options that had an effect, for `refuseUnused`. Without it, those that have none are refused. */
  readonly used?: Set<string>;
  /** Is told what was decided where a file leaves it open, in a sentence. */
  readonly onNote?: ((sentence: string) => void) | undefined;
}

/** Faults in a message, at most. */
const mostFaults = 20;

/**
 * Opens files, whose formats are recognised by their content, as the rows of one after another. All types but u8 become
 * f32, integers as they are. All headers are checked before values are read, and nothing is allocated for what a header
 * claims but its file is too short for.
 * @param sources open the files: at least one.
 * @throws DataError, which lists what is wrong with each of several files; ConfigError for an image_shape of another
 *   number of values, and options that are missing or have no effect.
 */
export async function openRowFiles(
  sources: readonly (() => Promise<RowsFile>)[],
  options: DecodeOptions = {},
): Promise<RowFiles> {
  const opened = await openAll(sources, options);
  const used = options.used ?? new Set();
  for (const { format } of opened) {
    if (format.named) used.add('tensor');
    if (format === raw) used.add('rows_type');
  }
  if (!options.used) refuseUnused(options, used);
  tellNotes(opened, options.onNote);
  return new RowFiles(opened, options);
}

/** Reads all rows of files into memory. As `openRowFiles`. */
export async function decodeRows(
  sources: readonly (() => Promise<RowsFile>)[],
  options: DecodeOptions = {},
): Promise<Dataset> {
  return (await openRowFiles(sources, options)).inMemory();
}

/** @throws ConfigError if an option was given that had no effect on any file. */
export function refuseUnused(
  { tensor, rows_type }: Pick<OpenOptions, 'tensor' | 'rows_type'>,
  used: ReadonlySet<string>,
): void {
  if (tensor !== undefined && !used.has('tensor')) {
    throw new ConfigError(
      `tensor is ${tensor}, which picks an array of a file that names its arrays, and no file here does that. Leave it out.`,
    );
  }
  if (rows_type !== undefined && !used.has('rows_type')) {
    throw new ConfigError(
      `rows_type is ${rows_type}, the type of values in raw files, and all files here say what they hold. Leave it out.`,
    );
  }
}

interface Opened {
  readonly file: RowsFile;
  readonly format: RowFormat;
  readonly rows: OpenedRows;
}

/** What the header of one of several files says. */
export interface FileOfRows extends Pick<OpenedRows, 'file' | 'rows' | 'element' | 'pieces'> {
  /** The name of its format. */
  readonly format: string;
  readonly packed: RowsFile['packed'];
}

/** Files of rows of one width and one kind, whose headers were read. */
export class RowFiles {
  readonly name: string;
  readonly in_dims: number;
  readonly type: OpenedRows['type'];
  /** Rows of all files; undefined if only reading them tells. */
  readonly rows: number | undefined;
  /** Set if all rows are images of it. */
  readonly image_shape: ImageShape | undefined;
  /** One after another. */
  readonly files: readonly FileOfRows[];
  /** Rows of each, once they are known. */
  readonly #counts: (number | undefined)[];

  constructor(
    private readonly opened: readonly Opened[],
    private readonly options: DecodeOptions,
  ) {
    const [{ rows: first, file }] = opened;
    this.name = options.name ?? file.name;
    this.in_dims = first.in_dims;
    this.type = first.type;
    const counts = opened.map(({ rows }) => rows.rows);
    this.#counts = counts;
    this.rows = counts.every((count) => count !== undefined) ? sum(counts) : undefined;
    this.image_shape = commonShape(opened.map(({ rows }) => rows.image_shape));
    this.files = opened.map(({ file, format, rows }, i) => ({
      ...rows,
      format: format.name,
      packed: file.packed,
      async *pieces(into?: StoredRows) {
        try {
          let count = 0;
          for await (const piece of rows.pieces(into)) {
            count += piece.length / rows.in_dims;
            yield piece;
          }
          counts[i] = count;
        } catch (error) {
          throw error instanceof EngineError ? error : file.explain(error);
        }
      },
    }));
  }

  /** Where the rows lie, which of some files is known only when they were read. */
  get places(): RowPlace[] {
    return this.files.map(({ file }, i) => ({ file: file.replace(/^.*[/\\]/, ''), rows: this.#counts[i]! }));
  }

  get #shape(): Pick<Dataset, 'image_shape'> {
    const { image_shape } = this;
    return image_shape ? { image_shape } : {};
  }

  /** Whether rows can be read from their places, and not only from the first one on. */
  get placed(): boolean {
    return this.opened.every(({ rows }) => rows.at !== undefined);
  }

  /** Whether reading some of them unpacks many others. */
  get unpacks(): boolean {
    return this.opened.some(({ rows }) => rows.unpacks);
  }

  /**
   * All rows, in pieces of some of them.
   * @param into memory for all of them, which they may be read into.
   * @throws DataError if a value is not finite, or a file cannot be read; the signal's reason.
   */
  async *pieces(into?: StoredRows): AsyncGenerator<StoredRows> {
    const { signal, onRows } = this.options;
    let done = 0;
    for (const file of this.files) {
      const [first, end] = [done, done + (file.rows ?? 0)].map((row) => row * this.in_dims);
      for await (const piece of file.pieces(into?.subarray(first, end))) {
        signal?.throwIfAborted();
        done += piece.length / this.in_dims;
        onRows?.(done, this.rows);
        yield piece;
      }
    }
  }

  /** Reads all rows into memory. @throws as `pieces`. */
  inMemory(): Promise<Dataset>;
  /** Returns undefined if they turn out to take more than `most` bytes. */
  inMemory(most: number): Promise<Dataset | undefined>;
  async inMemory(most = Number.POSITIVE_INFINITY): Promise<Dataset | undefined> {
    const { rows, in_dims, name, type } = this;
    // Where headers do not say how many rows there are, pieces are kept until that is known.
    const parts: StoredRows[] = [];
    let length = rows === undefined ? 0 : rows * in_dims;
    if (rows === undefined) {
      for await (const piece of this.pieces()) {
        parts.push(piece);
        length += piece.length;
        if (length * valueBytes[type] > most) return undefined;
      }
    }
    const data = allocate(type, length);
    let filled = 0;
    for await (const piece of rows === undefined ? parts : this.pieces(data)) {
      if (piece.buffer !== data.buffer) data.set(piece, filled);
      filled += piece.length;
    }
    return this.#normalized({ name, rows: length / in_dims, in_dims, data, ...this.#shape });
  }

  /**
   * The rows where they are, if they are `placed`: nothing is read but what is asked for.
   * @throws DataError if they cannot be normalised as is wanted.
   */
  async inPlace(): Promise<RowSource> {
    const files = this.opened.map(({ file, rows }) => ({
      rows: rows.rows!,
      read: (first: number, end: number, into?: StoredRows) =>
        explained(file, () => rows.at!(first, end, into)),
    }));
    return this.sourceOf(joined(files));
  }

  /** A source of these rows that are read so. @throws as `inPlace`. */
  async sourceOf({ rows, read }: Pick<RowSource, 'rows' | 'read'>): Promise<RowSource> {
    const { name, in_dims, type } = this;
    return this.#normalized({ name, rows, in_dims, type, read, ...this.#shape });
  }

  /** These rows with the normalisation that is wanted, fitted to them if it has to be. */
  async #normalized<R extends Unnormalized>(rows: R) {
    const { normalize, onNote } = this.options;
    const watching = watched(rows, this.options);
    return { ...rows, normalization: await fitNormalization(normalize, watching, onNote) };
  }
}

/** Opens all files, which must hold rows of one width and of one kind. @throws DataError for all that do not. */
async function openAll(
  sources: readonly (() => Promise<RowsFile>)[],
  options: OpenOptions & Watching,
): Promise<Opened[]> {
  const opened: Opened[] = [];
  const faults: DataError[] = [];
  const found = await atOnce(sources, async (open): Promise<Opened | DataError> => {
    options.signal?.throwIfAborted();
    try {
      const file = await open();
      return { file, ...(await explained(file, () => openRows(file, options))) };
    } catch (error) {
      if (!(error instanceof DataError) || sources.length === 1) throw error;
      return error;
    }
  });
  for (const one of found) {
    const fault = one instanceof DataError ? one : unlike(one, opened[0]);
    if (fault) faults.push(fault);
    else opened.push(one as Opened);
  }
  if (faults.length > 0) {
    const some = faults.slice(0, mostFaults).map(({ message }) => `  ${message}`);
    const more = faults.length - some.length;
    throw new DataError(
      `Of ${sources.length} files, ${faults.length} cannot be read with the others, and nothing was read:\n${some.join('\n')}` +
        (more > 0 ? `\n  and ${more} more.` : ''),
    );
  }
  return opened;
}

/** What is wrong if rows differ in width or kind from those of the first file. */
function unlike(one: Opened, before: Opened | undefined): DataError | undefined {
  if (!before) return undefined;
  const { file, in_dims, type, image_shape } = one.rows;
  const first = before.rows;
  if (image_shape && first.image_shape && image_shape.join() !== first.image_shape.join()) {
    const advice =
      one.format === image
        ? ` image_shape resizes them, such as --image_shape ${first.image_shape.join()}.`
        : '';
    return new DataError(
      `${file} has images of ${image_shape.join(' x ')} values (height x width); expected ${first.image_shape.join(' x ')}, as in ` +
        `${first.file}.${advice}`,
    );
  }
  if (in_dims !== first.in_dims) {
    return new DataError(
      `${file} has ${counted(in_dims, 'value')} a row; expected ${grouped(first.in_dims)}, as in ${first.file}.`,
    );
  }
  if (type !== first.type) {
    const kinds = { u8: '8-bit values, which are divided by 255', f32: 'values that are taken as they are' };
    return new DataError(`${file} has ${kinds[type]}; expected ${kinds[first.type]}, as in ${first.file}.`);
  }
  return undefined;
}

/** Tells the first note about each thing, and how many other files have such a one. */
function tellNotes(opened: readonly Opened[], onNote: DecodeOptions['onNote']): void {
  const notes = opened.flatMap(({ rows }) => rows.notes);
  for (const about of new Set(notes.map((note) => note.about))) {
    const [first, ...others] = notes.filter((note) => note.about === about);
    const more = others.length > 0 ? ` The same goes for ${counted(others.length, 'more file')}.` : '';
    onNote?.(first.sentence + more);
  }
}

function allocate(type: OpenedRows['type'], length: number): StoredRows {
  try {
    return type === 'u8' ? new Uint8Array(length) : new Float32Array(length);
  } catch (error) {
    throw new DataError(
      `There are ${grouped(length)} values, which do not fit into this machine's memory. Use fewer rows.`,
      { cause: error },
    );
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0);
}

/** The shape that all rows have, if there is one. */
function commonShape(shapes: readonly (ImageShape | undefined)[]) {
  const [first] = shapes;
  return shapes.every((shape) => shape?.join() === first?.join()) ? first : undefined;
}

/**
 * Whether a file among others is of a format of rows, by its beginning and its name: raw ones, where they are expected, by
 * their names alone. @throws whatever the file throws. */
export async function holdsRows(file: RowsFile, options: OpenOptions = {}): Promise<boolean> {
  const format = await formatOf(file, options);
  return format !== undefined && (format !== raw || raw.endings.test(unpackedName(file.name)));
}

/** Finds out the format of a file, and reads its header. @throws DataError, and whatever the file throws. */
async function openRows(file: RowsFile, options: OpenOptions): Promise<Omit<Opened, 'file'>> {
  const format = await formatOf(file, options);
  if (!format) throw neither(file);
  return { format, rows: await format.open(file, options) };
}

async function formatOf(file: RowsFile, { rows_type }: OpenOptions): Promise<RowFormat | undefined> {
  const head = await beginning(file);
  let known: RowFormat | undefined;
  if (file.format) return file.format;
  for (const format of rowFormats) {
    if (!format.recognizes(head, file.name)) continue;
    if (format.beside && !(await file.beside?.(format.beside))) continue;
    known = format;
    break;
  }
  if (rows_type === undefined) return known;
  return known && !(known.unsure && !known.endings.test(unpackedName(file.name))) ? known : raw;
}

/** Its first `recognizedBytes` bytes, or all of them if it has fewer. */
async function beginning(file: RowsFile): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  for await (head of beginnings(file)) if (head.length >= recognizedBytes) break;
  return head.subarray(0, recognizedBytes);
}

/**
 * Reads such a file, packed or not, from a Blob: a dropped, chosen or fetched file.
 * @param name the name of the data set, also in messages.
 * @throws DataError; ConfigError for an image_shape of another number of values.
 */
export async function decodeDataset(
  blob: Blob,
  name: string,
  options: Omit<DecodeOptions, 'name'> = {},
): Promise<Dataset> {
  const [file] = blobFiles([{ blob, name }]);
  return decodeRows([file.open], options);
}

function neither({ name, packed }: RowsFile): DataError {
  const names = rowFormats.map((format) => `${format.article} ${format.name}`);
  return new DataError(
    `${name} is neither ${names.slice(0, -1).join(', ')} nor ${names.at(-1)} file${packed ? ` inside its ${packed}` : ''}, by its first ` +
      "bytes or, as text, by its name; expected one of them, packed or not (in numpy: np.save('rows.npy', array)), or rows_type, the " +
      'type of values of a raw file.',
  );
}
