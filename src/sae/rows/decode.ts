import { EngineError } from '../../gpu/errors.js';
import { DataError } from '../errors.js';
import type { Dataset } from './dataset.js';
import { concat, counted, grouped, recognizedBytes } from './formats/array.js';
import {
  explained,
  type OpenedRows,
  type OpenOptions,
  type RowFormat,
  type RowsFile,
} from './formats/file.js';
import { formatNames, rowFormats } from './formats/index.js';
import { type NormalizeOption, resolveNormalization } from './normalize.js';
import type { StoredRows } from './rows.js';

/** How the rows of a file are to be read. */
export interface DecodeOptions extends OpenOptions {
  /** By default `mnist` for 8-bit values and `none` for all others. */
  readonly normalize?: NormalizeOption | undefined;
  /** The data set's name in messages; by default the file's name. */
  readonly name?: string;
  /** Is told what was decided where a file leaves it open, in a sentence. */
  readonly onNote?: ((sentence: string) => void) | undefined;
}

/** Whether a file is gzipped, by its first two bytes. */
export function isGzip(start: Uint8Array): boolean {
  return start[0] === 0x1f && start[1] === 0x8b;
}

/** Faults in a message, at most. */
const mostFaults = 20;

/**
 * Reads the rows of files, one after another, whose formats are recognised by their content. All types but u8 become f32,
 * integers as they are. All headers are checked before values are read, and nothing is allocated for what a header
 * claims but its file is too short for.
 * @param sources open the files: at least one.
 * @throws DataError, which lists what is wrong with each of several files; ConfigError for an image_shape of another
 *   number of values.
 */
export async function decodeRows(
  sources: readonly (() => Promise<RowsFile>)[],
  options: DecodeOptions = {},
): Promise<Dataset> {
  const opened = await openAll(sources, options);
  tellNotes(opened, options.onNote);
  const { in_dims } = opened[0].rows;
  const data = await readAll(opened);
  const name = options.name ?? opened[0].file.name;
  const image_shape = commonShape(opened.map(({ rows }) => rows.image_shape));
  return {
    name,
    rows: data.length / in_dims,
    in_dims,
    data,
    ...(image_shape && { image_shape }),
    normalization: resolveNormalization(options.normalize, data, name),
  };
}

interface Opened {
  readonly file: RowsFile;
  readonly rows: OpenedRows;
}

/** Opens all files, which must hold rows of one width and of one kind. @throws DataError for all that do not. */
async function openAll(
  sources: readonly (() => Promise<RowsFile>)[],
  options: OpenOptions,
): Promise<Opened[]> {
  const opened: Opened[] = [];
  const faults: DataError[] = [];
  for (const open of sources) {
    try {
      const file = await open();
      const rows = await explained(file, () => openRows(file, options));
      const [first] = opened;
      if (first) checkAlike(rows, first.rows);
      opened.push({ file, rows });
    } catch (error) {
      if (!(error instanceof DataError) || sources.length === 1) throw error;
      faults.push(error);
    }
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

/** @throws DataError if rows differ in width or kind from those of the first file. */
function checkAlike({ file, in_dims, type }: OpenedRows, first: OpenedRows): void {
  if (in_dims !== first.in_dims) {
    throw new DataError(
      `${file} has ${counted(in_dims, 'value')} a row; expected ${grouped(first.in_dims)}, as in ${first.file}.`,
    );
  }
  if (type !== first.type) {
    const kinds = { u8: '8-bit values, which are divided by 255', f32: 'values that are taken as they are' };
    throw new DataError(`${file} has ${kinds[type]}; expected ${kinds[first.type]}, as in ${first.file}.`);
  }
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

/** All values: [rows, in_dims]. */
async function readAll(opened: readonly Opened[]): Promise<StoredRows> {
  const [{ rows: first }] = opened;
  const counts = opened.map(({ rows }) => rows.rows);
  const known = counts.every((rows) => rows !== undefined);
  const pieces = piecesOf(opened);
  // Where headers do not say how many rows there are, pieces are kept until that is known.
  const parts: StoredRows[] = [];
  if (!known) for await (const piece of pieces) parts.push(piece);
  const length = known ? sum(counts) * first.in_dims : sum(parts.map((part) => part.length));
  const data = allocate(first.type, length);
  let filled = 0;
  for await (const piece of known ? pieces : parts) {
    data.set(piece, filled);
    filled += piece.length;
  }
  return data;
}

/** The rows of all files. */
async function* piecesOf(opened: readonly Opened[]): AsyncGenerator<StoredRows> {
  for (const { file, rows } of opened) {
    try {
      yield* rows.pieces();
    } catch (error) {
      throw error instanceof EngineError ? error : file.explain(error);
    }
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
function commonShape(shapes: readonly (readonly [number, number] | undefined)[]) {
  const [first] = shapes;
  return shapes.every((shape) => shape?.join() === first?.join()) ? first : undefined;
}

/** Whether a file is of a format of rows, by its beginning and its name. @throws whatever the file throws. */
export async function holdsRows(file: RowsFile): Promise<boolean> {
  return (await formatOf(file)) !== undefined;
}

/** Finds out the format of a file, and reads its header. @throws DataError, and whatever the file throws. */
async function openRows(file: RowsFile, options: OpenOptions): Promise<OpenedRows> {
  const format = await formatOf(file);
  if (!format) throw neither(file);
  return format.open(file, options);
}

async function formatOf(file: RowsFile): Promise<RowFormat | undefined> {
  const head = await beginning(file);
  return rowFormats.find((candidate) => candidate.recognizes(head, file.name));
}

/** Its first `recognizedBytes` bytes, or all of them if it has fewer. */
async function beginning(file: RowsFile): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  for await (const chunk of file.stream()) {
    head = concat(head, chunk.subarray(0, recognizedBytes));
    if (head.length >= recognizedBytes) break;
  }
  return head.subarray(0, recognizedBytes);
}

/**
 * Reads such a file, gzipped or not, from a Blob: a dropped, chosen or fetched file.
 * @param name the name of the data set, also in messages.
 * @throws DataError; ConfigError for an image_shape of another number of values.
 */
export async function decodeDataset(
  blob: Blob,
  name: string,
  options: Omit<DecodeOptions, 'name'> = {},
): Promise<Dataset> {
  if (blob.size === 0) {
    throw new DataError(`${name} is empty; expected a ${formatNames} file.`);
  }
  const unreadable = (error: unknown) =>
    new DataError(`${name} cannot be read: ${(error as Error).message}`, { cause: error });
  const start = await blob
    .slice(0, 2)
    .arrayBuffer()
    .catch((error) => {
      throw unreadable(error);
    });
  const gzipped = isGzip(new Uint8Array(start));
  const file: RowsFile = {
    name,
    bytes: blob.size,
    gzipped,
    stream(begin, end) {
      const part = begin === undefined ? blob : blob.slice(begin, end);
      return pieces(gzipped ? part.stream().pipeThrough(new DecompressionStream('gzip')) : part.stream());
    },
    async read(begin, into) {
      const part = await blob.slice(begin, begin + into.length).arrayBuffer();
      into.set(new Uint8Array(part));
    },
    // A file that cannot be read throws a DOMException, a damaged gzip stream another error.
    explain: (error) =>
      gzipped && !(error instanceof DOMException)
        ? new DataError(
            `${name} is damaged or truncated: its gzip stream cannot be unpacked (${(error as Error).message}). Copy or ` +
              'download it again.',
            { cause: error },
          )
        : unreadable(error),
  };
  return decodeRows([async () => file], options);
}

async function* pieces(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      yield next.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function neither({ name, gzipped }: RowsFile): DataError {
  const names = rowFormats.map((format) => `${format.article} ${format.name}`);
  return new DataError(
    `${name} is neither ${names.slice(0, -1).join(', ')} nor ${names.at(-1)} file${gzipped ? ' inside its gzip' : ''}, by its first ` +
      "bytes or, as text, by its name; expected one of them, gzipped or not (in numpy: np.save('rows.npy', array)).",
  );
}
