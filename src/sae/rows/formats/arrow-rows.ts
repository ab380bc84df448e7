import { DataError } from '../../errors.js';
import { counted, type Element, elements, grouped, product, viewOf } from './array.js';
import { ArrowBuffer } from './arrow-buffer.js';
import { type ArrowBatch, type ArrowField, readArrowMessages } from './arrow-messages.js';
import { type ByteSource, type Fail, readPart } from './bytes.js';
import { type Note, type OpenedRows, type OpenOptions, partsOf, type RowsFile } from './file.js';
import { openedArray } from './headed.js';
import { commonElement, interleaved } from './interleave.js';
import { type NamedArray, pickColumns } from './named.js';

/** Bytes of lists' offsets that are checked at a time. */
const checkedBytes = 2 ** 22;

/** A column that may be rows. */
interface Column extends NamedArray {
  /** Its number in the schema. */
  readonly index: number;
  /** Its lists, each within the one before, and last what they are of. */
  readonly levels: readonly ArrowField[];
}

/** The values of rows that follow each other in the file. */
interface Stretch {
  /** How many rows come before them, and how many they are. */
  readonly first: number;
  readonly rows: number;
  /** Their bytes: those of each column, if several are read. */
  readonly values: readonly ArrowBuffer[];
}

/** Opens a stream or file of Arrow. @throws DataError. */
export async function openArrow(file: RowsFile, options: OpenOptions): Promise<OpenedRows> {
  const { name } = file;
  const fail: Fail = (sentence, cause) => {
    throw new DataError(`${name} is not an Arrow file that can be read: ${sentence}`, { cause });
  };
  const bytes = partsOf(file, fail);
  const { fields, batches, ended } = await readArrowMessages(bytes, fail);
  const columns = fields.map((field, index) => columnOf(field, index, batches));
  const { picked, source, notes } = pickColumns(columns, options.tensor, name);
  const open = picked[0].levels.length > 1 ? openList : openNumbers;
  const opened = await open({ name, bytes, source, options, fail }, batches, picked);
  const unpacks = batches.some(({ codec }) => codec !== undefined);
  return { ...opened, unpacks, notes: [...notes, ...opened.notes, ...(ended ? [] : [cutNote(name)])] };
}

function cutNote(name: string): Note {
  const sentence = `${name} lacks the mark that ends an Arrow stream: if its writer was stopped, rows are missing.`;
  return { about: 'end', sentence };
}

/** @param batches tell the lengths of lists, so far as all of a column are of one. */
function columnOf(field: ArrowField, index: number, batches: readonly ArrowBatch[]): Column {
  const levels = levelsOf(field);
  const counts = levels.map((_, i) =>
    batches.reduce((sum, { columns, nodes }) => sum + (nodes[2 * (columns[index].node + i)] ?? 0), 0),
  );
  const { element, type } = levels.at(-1)!;
  return {
    name: field.name,
    index,
    levels,
    shape: counts.map((count, i) => (i === 0 ? count : Math.round(count / Math.max(1, counts[i - 1])))),
    type: levels.slice(0, -1).reduceRight((inner, list) => `${list.type}<${inner}>`, type),
    readable: element !== undefined,
    float: element?.includes('f') ?? false,
  };
}

function levelsOf(field: ArrowField): ArrowField[] {
  const isList = field.offsetBytes !== undefined || field.size !== undefined;
  return isList && field.children.length === 1 ? [field, ...levelsOf(field.children[0])] : [field];
}

/** What is opened. */
interface Opening {
  readonly name: string;
  readonly bytes: ByteSource;
  /** What is read, in messages. */
  readonly source: string;
  readonly options: OpenOptions;
  readonly fail: Fail;
}

/** Rows of a column of lists, or of lists of lists, all of one length. */
async function openList(
  opening: Opening,
  batches: readonly ArrowBatch[],
  [{ levels, index }]: readonly Column[],
): Promise<OpenedRows> {
  const sides: (number | undefined)[] = levels.slice(0, -1).map(({ size }) => size);
  const stretches: Stretch[] = [];
  let rows = 0;
  for (const batch of batches) {
    if (batch.rows === 0) continue;
    const column = new BatchColumn(opening, batch, index, rows);
    stretches.push({ first: rows, rows: batch.rows, values: [await column.check(levels, sides)] });
    rows += batch.rows;
  }
  const element = levels.at(-1)!.element!;
  const shape = [rows, ...sides.map((side) => side ?? 0)];
  const rowBytes = product(shape.slice(1)) * elements[element].bytes;
  const within = stretchesOf(stretches);
  return openedRows(opening, shape, element, async (begin, into) => {
    let filled = 0;
    for (const stretch of within(begin / rowBytes, (begin + into.length) / rowBytes)) {
      const { first, rows: own, values } = stretch;
      const skipped = Math.max(0, begin - first * rowBytes);
      const part = into.subarray(filled, filled + own * rowBytes - skipped);
      await values[0].read(skipped, part);
      filled += part.length;
    }
  });
}

/** Rows of one value of each column. */
async function openNumbers(
  opening: Opening,
  batches: readonly ArrowBatch[],
  columns: readonly Column[],
): Promise<OpenedRows> {
  const stretches: Stretch[] = [];
  let rows = 0;
  for (const batch of batches) {
    if (batch.rows === 0) continue;
    const values: ArrowBuffer[] = [];
    for (const { index, levels, name } of columns) {
      const source = columns.length > 1 ? `${opening.source}, column ${name},` : opening.source;
      values.push(await new BatchColumn({ ...opening, source }, batch, index, rows).check(levels, []));
    }
    stretches.push({ first: rows, rows: batch.rows, values });
    rows += batch.rows;
  }
  const own = columns.map(({ levels }) => levels[0].element!);
  const element = commonElement(own);
  const rowBytes = columns.length * elements[element].bytes;
  const within = stretchesOf(stretches);
  return openedRows(opening, [rows, columns.length], element, async (begin, into) => {
    const [from, to] = [begin / rowBytes, (begin + into.length) / rowBytes];
    for (const stretch of within(from, to)) {
      const first = Math.max(from, stretch.first);
      const count = Math.min(to, stretch.first + stretch.rows) - first;
      const values = [];
      for (const [j, buffer] of stretch.values.entries()) {
        const { bytes: size } = elements[own[j]];
        const bytes = new Uint8Array(count * size);
        await buffer.read((first - stretch.first) * size, bytes);
        values.push({ element: own[j], bytes });
      }
      into.set(interleaved(values, count), (first - from) * rowBytes);
    }
  });
}

function openedRows(
  { source, options }: Opening,
  shape: readonly number[],
  element: Element,
  read: ByteSource['read'],
): OpenedRows {
  const header = { element, littleEndian: true, fortranOrder: false, shape, headerBytes: 0 };
  const bytes = product(shape) * elements[element].bytes;
  const within = ' of the values';
  return openedArray(source, header, { bytes, packed: undefined }, options, 'Arrow', { read, within });
}

/**
 * Goes through those that have any of the rows from `from` up to, not including, `to`. Of those that were read before, nothing is
 * kept.
 */
function stretchesOf(stretches: readonly Stretch[]): (from: number, to: number) => Iterable<Stretch> {
  let last: Stretch | undefined;
  return function* within(from, to) {
    // Of the last that begins at or before a row, by halving.
    let [low, high] = [0, stretches.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (stretches[middle].first <= from) low = middle;
      else high = middle - 1;
    }
    for (; low < stretches.length && stretches[low].first < to; low++) {
      if (last !== stretches[low]) for (const buffer of last?.values ?? []) buffer.release();
      last = stretches[low];
      yield last;
    }
  };
}

/** A column in a batch: what is null in it, and how long its lists are. */
class BatchColumn {
  constructor(
    readonly opening: Opening,
    readonly batch: ArrowBatch,
    readonly index: number,
    /** Rows before the batch. */
    readonly before: number,
  ) {}

  /**
   * Checks that nothing is null and that all lists are of one length.
   * @param levels as in `Column`. @param sides the length of each list, which the first one sets.
   * @returns the values.
   */
  async check(levels: readonly ArrowField[], sides: (number | undefined)[]): Promise<ArrowBuffer> {
    const { batch, index } = this;
    let [start, count] = [0, batch.rows];
    let { node, buffer } = batch.columns[index];
    for (const [i, { offsetBytes, size, element, buffers }] of levels.entries()) {
      const [length, nulls] = [this.#known(batch.nodes[2 * node]), this.#known(batch.nodes[2 * node + 1])];
      if (length < start + count)
        this.#damaged(`has ${grouped(length)} values where ${grouped(start + count)} are needed`);
      if (nulls !== 0) await this.#checkNulls(buffer, start, count);
      if (element)
        return this.#part(buffer + 1, start * elements[element].bytes, count * elements[element].bytes);
      start = offsetBytes
        ? await this.#checkLengths(buffer + 1, offsetBytes, start, count, sides, i)
        : start * size!;
      count *= sides[i]!;
      node += 1;
      buffer += buffers;
    }
    return this.#damaged('has no values');
  }

  /** Checks `count` bits of a buffer, which has one for each value that is there. */
  async #checkNulls(buffer: number, start: number, count: number): Promise<void> {
    const first = Math.floor(start / 8);
    const end = Math.ceil((start + count) / 8);
    const bits = await readPart(this.#part(buffer, first, end - first), 0, end - first, this.opening.fail);
    for (let i = start; i < start + count; i++) {
      if (((bits[(i >> 3) - first] >> (i & 7)) & 1) === 0) {
        const row = this.#row(i - start, count);
        throw new DataError(
          `${this.opening.source} has null at row ${row} (from 0); expected a value. Leave the row out.`,
        );
      }
    }
  }

  /** Checks the lengths of `count` lists by their offsets. @returns the first offset. */
  async #checkLengths(
    buffer: number,
    bytes: 4 | 8,
    start: number,
    count: number,
    sides: (number | undefined)[],
    level: number,
  ): Promise<number> {
    let first: number | undefined;
    let before = 0;
    const each = checkedBytes / bytes;
    const offsets = this.#part(buffer, start * bytes, (count + 1) * bytes);
    for (let at = 0; at <= count; at += each) {
      const some = Math.min(each, count + 1 - at);
      const view = viewOf(await readPart(offsets, at * bytes, some * bytes, this.opening.fail));
      for (let i = 0; i < some; i++) {
        const offset = bytes === 4 ? view.getInt32(4 * i, true) : Number(view.getBigInt64(8 * i, true));
        if (first === undefined) {
          if (!(offset >= 0 && Number.isSafeInteger(offset)))
            this.#damaged(`has lists that begin at ${offset}`);
          first = offset;
        } else {
          sides[level] ??= offset - before;
          if (offset - before !== sides[level] || offset < before)
            this.#otherLength(at + i - 1, count, offset - before, sides[level]);
        }
        before = offset;
      }
    }
    return first!;
  }

  #otherLength(list: number, lists: number, length: number, expected: number): never {
    if (length < 0) this.#damaged('has lists whose offsets do not ascend');
    throw new DataError(
      `${this.opening.source} has a list of ${counted(length, 'value')} at row ${this.#row(list, lists)} (from 0); expected ` +
        `${grouped(expected)}, as in the first one.`,
    );
  }

  /** The row of the i-th of `all` values of the batch. */
  #row(i: number, all: number): string {
    return grouped(this.before + Math.floor((i * this.batch.rows) / all));
  }

  #known(value: number | undefined): number {
    return value ?? this.#damaged('has fewer parts than its schema says');
  }

  /** A part of a buffer. */
  #part(buffer: number, begin: number, length: number): ArrowBuffer {
    const { bytes: file, name, fail } = this.opening;
    const { buffers, body, bodyBytes, codec } = this.batch;
    const [offset, bytes] = [this.#known(buffers[2 * buffer]), this.#known(buffers[2 * buffer + 1])];
    const place = body + offset;
    const failBuffer: Fail = (sentence, cause) =>
      fail(`its column ${this.index + 1} has a buffer at byte ${grouped(place)} that ${sentence}`, cause);
    if (offset < 0 || bytes < 0 || offset + bytes > bodyBytes) {
      failBuffer(
        `claims ${grouped(bytes)} bytes, and its batch ends at byte ${grouped(body + bodyBytes)}. It is damaged.`,
      );
    }
    return new ArrowBuffer(file, { place, bytes, codec }, begin, length, name, failBuffer);
  }

  #damaged(sentence: string): never {
    const { rows, body } = this.batch;
    return this.opening.fail(
      `its column ${this.index + 1} ${sentence}, in the batch of ${counted(rows, 'row')} at byte ${grouped(body)}. It is damaged.`,
    );
  }
}
