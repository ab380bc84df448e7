import type { FileMetaData, SchemaElement, SchemaTree } from 'hyparquet/src/types.js';
import { DataError } from '../../errors.js';
import { type Element, elements, grouped, product } from './array.js';
import { type ByteSource, type Fail, readPart } from './bytes.js';
import { type OpenedRows, type OpenOptions, partsOf, type RowsFile } from './file.js';
import { openedArray } from './headed.js';
import { commonElement, interleaved } from './interleave.js';
import { type NamedArray, pickColumns } from './named.js';
import { ColumnChunk, firstByte, type PagedColumn } from './parquet-pages.js';

const magic = new TextEncoder().encode('PAR1');

/** Bytes that one of a file makes, at most. Run lengths make more of equal values, in which there is nothing to learn. */
const mostExpansion = 2 ** 16;

/** A column that may be rows. */
interface Column extends NamedArray {
  /** The names of what leads to its values, from the outermost one on. */
  readonly path: string;
  readonly element: Element | undefined;
  readonly stored: Element | undefined;
  readonly repeated: number;
  readonly optional: number;
}

/** Rows that are stored together. */
interface Group {
  /** Rows before them, and their own number. */
  readonly first: number;
  readonly rows: number;
  /** Of each picked column. */
  readonly chunks: readonly ColumnChunk[];
}

/** Opens a Parquet file. Its pages are unpacked as they are needed. @throws DataError. */
export async function openParquet(file: RowsFile, options: OpenOptions): Promise<OpenedRows> {
  const { name } = file;
  const fail: Fail = (sentence, cause) => {
    throw new DataError(`${name} is not a Parquet file that can be read: ${sentence}`, { cause });
  };
  const bytes = partsOf(file, fail);
  const { metadata, schema } = await readFooter(bytes, fail);
  const columns = schema.children.map((field) => columnOf(field, metadata));
  const { picked, source, notes } = pickColumns(columns, options.tensor, name);
  const lists = picked[0].repeated > 0;
  const { groups, sides } = await openGroups(bytes, metadata, picked, source, fail);
  const rows = groups.reduce((sum, group) => sum + group.rows, 0);
  const element = commonElement(picked.map((column) => column.element!));
  const shape = lists ? [rows, ...sides] : [rows, picked.length];
  const header = { element, littleEndian: true, fortranOrder: false, shape, headerBytes: 0 };
  const width = product(shape.slice(1));
  const { bytes: size } = elements[element];
  const claimed = rows * width * size;
  if (claimed > mostExpansion * bytes.length) {
    fail(
      `it claims ${grouped(claimed)} bytes of values, and its ${grouped(bytes.length)} bytes cannot hold that. It is damaged.`,
    );
  }
  const opened: OpenedRows = openedArray(
    source,
    header,
    { bytes: claimed, packed: undefined },
    options,
    'Parquet',
    { read: readGroups(groups, picked, width, size), within: ' of the values' },
  );
  return { ...opened, notes: [...notes, ...opened.notes] };
}

async function readFooter(
  file: ByteSource,
  fail: Fail,
): Promise<{ metadata: FileMetaData; schema: SchemaTree }> {
  const { parquetMetadataAsync, parquetSchema } = await import('hyparquet/src/metadata.js');
  const end = await readPart(file, Math.max(0, file.length - 4), Math.min(4, file.length), fail);
  if (!magic.every((byte, i) => end[i] === byte) || file.length < 12) {
    fail('it does not end as a Parquet file does: it is truncated, or its writer was not closed.');
  }
  const slice = async (from: number, to = file.length) =>
    (await readPart(file, from, to - from, fail)).buffer;
  try {
    const metadata = await parquetMetadataAsync({ byteLength: file.length, slice }, { geoparquet: false });
    // What a damaged footer lacks is not there.
    const named = metadata.schema.every(({ name }) => typeof name === 'string');
    const counted = metadata.row_groups.every(({ num_rows, columns }) => num_rows >= 0n && columns);
    if (!named || !counted) throw new Error('it lacks a name or a number');
    return { metadata, schema: parquetSchema(metadata) };
  } catch (error) {
    if (error instanceof DataError) throw error;
    return fail('its footer is damaged. Copy or write the file again.', error);
  }
}

/** What a field of the schema is: a column, with lists of lists of numbers as one. */
function columnOf(field: SchemaTree, { row_groups }: FileMetaData): Column {
  const path: SchemaTree[] = [field];
  while (path.at(-1)!.children.length === 1) path.push(path.at(-1)!.children[0]);
  const leaf = path.at(-1)!;
  const { type, stored, element } = leaf.children.length > 0 ? struct : valuesOf(leaf.element);
  const repeated = path.filter((level) => level.element.repetition_type === 'REPEATED').length;
  const name = leaf.path.join('.');
  let [rows, values] = [0, 0];
  for (const group of row_groups) {
    const chunk = group.columns.find(({ meta_data }) => meta_data?.path_in_schema.join('.') === name);
    rows += Number(group.num_rows);
    values += Number(chunk?.meta_data?.num_values ?? 0);
  }
  return {
    name: field.element.name,
    path: name,
    shape: repeated > 0 ? [rows, Math.round(values / Math.max(1, rows))] : [rows],
    type: `${'list<'.repeat(repeated)}${type}${'>'.repeat(repeated)}`,
    element,
    stored,
    readable: element !== undefined,
    float: element?.includes('f') ?? false,
    repeated,
    optional: path.filter((level) => level.element.repetition_type !== 'REQUIRED').length,
  };
}

interface Values {
  readonly type: string;
  readonly stored?: Element;
  readonly element?: Element;
}

const struct: Values = { type: 'struct' };

/** The type of a column's values. */
function valuesOf({ type, type_length, converted_type, logical_type }: SchemaElement): Values {
  const numbers = (element: Element, stored = element) => ({ type: element, stored, element });
  const meant = logical_type?.type ?? converted_type;
  if (type === 'FLOAT') return numbers('f32');
  if (type === 'DOUBLE') return numbers('f64');
  if (meant === 'FLOAT16' && type === 'FIXED_LEN_BYTE_ARRAY' && type_length === 2) return numbers('f16');
  if (logical_type?.type === 'INTEGER' && type === 'INT32') {
    const name = `${logical_type.isSigned ? 'i' : 'u'}${logical_type.bitWidth}`;
    const element = (['u8', 'i8', 'u16', 'i16', 'u32', 'i32'] as const).find((one) => one === name);
    if (element) return numbers(element, element.endsWith('32') ? element : 'i32');
  }
  const converted = /^(U?)INT_(8|16|32)$/.exec(meant ?? '');
  if (converted && type === 'INT32') {
    const element = `${converted[1] ? 'u' : 'i'}${converted[2]}` as Element;
    return numbers(element, element.endsWith('32') ? element : 'i32');
  }
  if (type === 'INT32' && meant === undefined) return numbers('i32');
  return { type: (meant ?? type ?? 'struct').toLowerCase() };
}

/** The rows' groups, with the pages of the picked columns, and how long lists are. */
async function openGroups(
  file: ByteSource,
  { row_groups }: FileMetaData,
  picked: readonly Column[],
  source: string,
  fail: Fail,
): Promise<{ groups: readonly Group[]; sides: readonly number[] }> {
  const groups: Group[] = [];
  let sides: number[] = picked[0].repeated > 0 ? picked[0].shape.slice(1) : [];
  let first = 0;
  for (const { columns, num_rows } of row_groups) {
    const rows = Number(num_rows);
    if (!Number.isSafeInteger(first + rows)) fail(`it claims a group of ${rows} rows.`);
    if (rows === 0) continue;
    const chunks: ColumnChunk[] = [];
    for (const column of picked) {
      const chunk = columns.find(({ meta_data }) => meta_data?.path_in_schema.join('.') === column.path);
      const data =
        chunk?.meta_data ?? fail(`its group of rows from row ${grouped(first)} on lacks a column.`);
      if (chunk?.file_path) fail(`its values are in another file, ${chunk.file_path}.`);
      const end = firstByte(data) + Number(data.total_compressed_size);
      if (!(firstByte(data) >= 4 && end <= file.length && end >= firstByte(data))) {
        fail(
          `its values end at byte ${grouped(end)}, and the file at ${grouped(file.length)}. It is truncated.`,
        );
      }
      const own = picked.length > 1 ? `${source}, column ${column.name},` : source;
      const paged = pagedColumn(column, own, () => sides, fail);
      const values = Number(data.num_values);
      const open = () => new ColumnChunk(file, paged, data, first, sides);
      if (column.repeated > 0 && groups.length === 0 && (column.repeated > 1 || values !== rows * sides[0])) {
        sides = await open().lengths(values);
      }
      const other = values !== rows * product(sides);
      // Which row it is, pages alone tell.
      if (other || Number(data.statistics?.null_count ?? 0) > 0) await open().check();
      if (other) {
        fail(`it claims ${grouped(values)} values in ${grouped(rows)} rows from row ${grouped(first)} on.`);
      }
      chunks.push(open());
    }
    groups.push({ first, rows, chunks });
    first += rows;
  }
  return { groups, sides };
}

function pagedColumn(
  column: Column,
  source: string,
  sides: () => readonly number[],
  fail: Fail,
): PagedColumn {
  const { element, stored, repeated, optional } = column;
  return {
    element: element!,
    stored: stored!,
    repeated,
    optional,
    fail,
    wrong(row, what) {
      const expected = repeated > 0 ? `${sides().join(' x ')} values, as in the first one` : 'a value';
      throw new DataError(
        `${source} has ${what} at row ${grouped(row)} (from 0); expected ${expected}. Leave the row out.`,
      );
    },
  };
}

/**
 * Fills memory with the bytes of values: of columns of numbers, those of whole rows. Of groups that were read before, nothing
 * is kept.
 * @param width values of a row. @param size bytes of a value.
 */
function readGroups(
  groups: readonly Group[],
  columns: readonly Column[],
  width: number,
  size: number,
): ByteSource['read'] {
  let last: Group | undefined;
  return async (begin, into) => {
    const [from, to] = [begin / size, (begin + into.length) / size];
    for (const group of groups) {
      const before = group.first * width;
      const first = Math.max(from, before);
      const end = Math.min(to, before + group.rows * width);
      if (first >= end) continue;
      if (last !== group) for (const chunk of last?.chunks ?? []) chunk.release();
      last = group;
      const part = into.subarray((first - from) * size, (end - from) * size);
      if (columns[0].repeated > 0) {
        await group.chunks[0].copy(first - before, end - before, part);
        continue;
      }
      const [row, rows] = [(first - before) / width, (end - first) / width];
      const values = [];
      for (const [j, chunk] of group.chunks.entries()) {
        const element = columns[j].element!;
        const bytes = new Uint8Array(rows * elements[element].bytes);
        await chunk.copy(row, row + rows, bytes);
        values.push({ element, bytes });
      }
      part.set(interleaved(values, rows));
    }
  };
}
