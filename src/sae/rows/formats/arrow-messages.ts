import { type Element, grouped } from './array.js';
import { type ByteSource, type Fail, readPart } from './bytes.js';
import { FlatTable } from './flatbuffer.js';

// Arrow's format of streams and files: https://arrow.apache.org/docs/format/Columnar.html, section «Serialization and
// Interprocess Communication», with its schemas Message.fbs and Schema.fbs. Messages alone are read here, the values stay
// where they are: a record batch may be larger than memory, and apache-arrow reads it whole.

/** A message's own bytes, at most: it has 48 for a column of numbers. */
const longestMessage = 2 ** 26;
const mostFields = 100_000;
const deepestField = 32;
/** The version of messages since Arrow 0.8, and since 1.0. */
const [version4, version5] = [3, 4];

const continuation = 0xffffffff;
const fileStart = new TextEncoder().encode('ARROW1\0\0');
const messages = { schema: 1, dictionary: 2, batch: 3 } as const;

/** What each buffer of a batch may be compressed with, by their numbers. */
const codecs = ['LZ4', 'ZSTD'] as const;

/** Types by their numbers: their names, and how many buffers they have in a batch. */
const types: Readonly<Record<number, readonly [name: string, buffers: number]>> = {
  1: ['null', 0],
  2: ['int', 2],
  3: ['float', 2],
  4: ['binary', 3],
  5: ['utf8', 3],
  6: ['bool', 2],
  7: ['decimal', 2],
  8: ['date', 2],
  9: ['time', 2],
  10: ['timestamp', 2],
  11: ['interval', 2],
  12: ['list', 2],
  13: ['struct', 1],
  14: ['union', 1],
  15: ['fixed_size_binary', 2],
  16: ['fixed_size_list', 1],
  17: ['map', 2],
  18: ['duration', 2],
  19: ['large_binary', 3],
  20: ['large_utf8', 3],
  21: ['large_list', 2],
  22: ['run_end_encoded', 0],
  23: ['binary_view', 2],
  24: ['utf8_view', 2],
  25: ['list_view', 3],
  26: ['large_list_view', 3],
};

/** A column, or what lies within one. */
export interface ArrowField {
  readonly name: string;
  /** Its type as Arrow has it, without what lies within. */
  readonly type: string;
  /** The type of its values, of a field of numbers that can be read. */
  readonly element?: Element | undefined;
  /** Bytes of an offset, of lists of any length. */
  readonly offsetBytes?: 4 | 8 | undefined;
  /** Values of each list, of lists of one length. */
  readonly size?: number | undefined;
  /** Buffers of its own, but for those of views. */
  readonly buffers: number;
  readonly children: readonly ArrowField[];
}

/** Where the columns of some rows are. */
export interface ArrowBatch {
  readonly rows: number;
  readonly codec: (typeof codecs)[number] | undefined;
  /** Of each field in the order of the schema: how many values it has and how many of them are null. */
  readonly nodes: readonly number[];
  /** The begin within the body and the length of each buffer, in the same order. */
  readonly buffers: readonly number[];
  /** The numbers of the first node and the first buffer of each column. */
  readonly columns: readonly { readonly node: number; readonly buffer: number }[];
  /** Where its body begins, and how long it is. */
  readonly body: number;
  readonly bodyBytes: number;
}

/** What the messages of a stream or file say. */
export interface ArrowMessages {
  readonly fields: readonly ArrowField[];
  readonly batches: readonly ArrowBatch[];
  /** Whether there is the mark of an end. A stream may lack it, as that of a writer that was stopped does. */
  readonly ended: boolean;
}

/** Whether these are the first bytes of a file, not of a stream. */
function isArrowFile(head: Uint8Array): boolean {
  return fileStart.every((byte, i) => head[i] === byte);
}

/** Reads the schema and where all batches are. @param fail is called with what is wrong with them. */
export async function readArrowMessages(file: ByteSource, fail: Fail): Promise<ArrowMessages> {
  const head = await readPart(file, 0, Math.min(8, file.length), fail);
  return isArrowFile(head) ? readFile(file, fail) : readStream(file, fail);
}

/** A file has a footer with the schema and the places of the batches. */
async function readFile(file: ByteSource, fail: Fail): Promise<ArrowMessages> {
  const end = await readPart(file, Math.max(0, file.length - 10), Math.min(10, file.length), fail);
  const length = end.length === 10 ? new DataView(end.buffer).getInt32(0, true) : -1;
  const footerEnd = file.length - 10;
  if (!fileStart.subarray(0, 6).every((byte, i) => end[4 + i] === byte)) {
    fail('it does not end as an Arrow file does: it is truncated, or its writer was not closed.');
  }
  if (length < 0 || length > Math.min(longestMessage, footerEnd - 8)) {
    fail(`it claims a footer of ${grouped(length)} bytes at its end. It is damaged.`);
  }
  const bytes = await readPart(file, footerEnd - length, length, fail);
  const { schema, places } = damagedUnless(
    (sentence, cause) => fail(`its footer ${sentence}`, cause),
    () => {
      const footer = FlatTable.root(bytes);
      const fields = footer.table(1);
      if (!fields) throw new RangeError('no schema');
      const failFooter: Fail = (sentence) => fail(`its footer ${sentence}`);
      return {
        schema: parseSchema(fields, footer.int(0, 16), failFooter),
        places: footer.integers(3, 1, 24),
      };
    },
  );
  const reader = new MessageReader(file, footerEnd - length, fail);
  const batches: ArrowBatch[] = [];
  for (const place of places) {
    const { batch } = (await reader.at(place, schema)) ?? {};
    batches.push(batch ?? fail(`its footer names byte ${grouped(place)}, where no batch is. It is damaged.`));
  }
  return { fields: schema.fields, batches, ended: true };
}

/** A stream is a schema and batches, one after another, up to a message without length. */
async function readStream(file: ByteSource, fail: Fail): Promise<ArrowMessages> {
  const reader = new MessageReader(file, file.length, fail);
  let schema: Schema | undefined;
  const batches: ArrowBatch[] = [];
  let at = 0;
  let ended = false;
  while (at < file.length) {
    const message = await reader.at(at, schema);
    ended = message === undefined;
    if (!message) break;
    schema ??= message.schema;
    if (message.batch) batches.push(message.batch);
    at = message.end;
  }
  if (ended && at + 8 < file.length) {
    fail(`it goes on after byte ${grouped(at + 8)}, where its stream ends; one stream was expected.`);
  }
  return { fields: schema?.fields ?? fail('it ends without a schema.'), batches, ended };
}

class MessageReader {
  /** Bytes of the message before: the next has as many, as a rule. */
  #guess = 1024;

  /** @param end where messages and their values end at last. */
  constructor(
    readonly file: ByteSource,
    readonly end: number,
    readonly fail: Fail,
  ) {}

  /** The message that begins there, with where its values end; undefined if it is the mark of an end. */
  async at(place: number, schema: Schema | undefined) {
    const { file, end } = this;
    const fail: Fail = (sentence, cause) =>
      this.fail(`the message at byte ${grouped(place)} ${sentence}`, cause);
    if (place < 0 || place + 8 > end)
      return fail(`is cut off at byte ${grouped(end)}. The file is truncated.`);
    const start = await readPart(file, place, Math.min(8 + this.#guess, end - place), fail);
    const view = new DataView(start.buffer);
    if (view.getUint32(0, true) !== continuation) {
      return fail('does not begin as one does: it is damaged, or of a version of Arrow before 0.15.');
    }
    const length = view.getInt32(4, true);
    if (length === 0) return undefined;
    const body = place + 8 + length;
    if (length < 0 || length > longestMessage || body > end) {
      return fail(
        `claims ${grouped(length)} bytes, and ${grouped(end - place - 8)} follow. The file is truncated or damaged.`,
      );
    }
    this.#guess = length;
    const whole = start.length >= 8 + length;
    const own = whole ? start.subarray(8, 8 + length) : await readPart(file, place + 8, length, fail);
    const { bodyBytes, ...parsed } = damagedUnless(fail, () => parseMessage(own, body, schema, fail));
    if (bodyBytes < 0 || body + bodyBytes > end) {
      return fail(
        `claims values up to byte ${grouped(body + bodyBytes)}, and they end at ${grouped(end)}. The file is truncated or damaged.`,
      );
    }
    return { ...parsed, end: body + bodyBytes };
  }
}

function damagedUnless<T>(fail: Fail, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof RangeError) return fail('is damaged. Copy or write the file again.', error);
    throw error;
  }
}

interface Schema {
  readonly fields: readonly ArrowField[];
  /** The layout of batches without views. */
  readonly usual: ArrowBatch['columns'];
}

interface Parsed {
  readonly schema?: Schema;
  readonly batch?: ArrowBatch;
  readonly bodyBytes: number;
}

/** @throws RangeError if it is damaged. */
function parseMessage(bytes: Uint8Array, body: number, schema: Schema | undefined, fail: Fail): Parsed {
  const message = FlatTable.root(bytes);
  const [version, kind, header, bodyBytes] = [
    message.int(0, 16),
    message.int(1, 8),
    message.table(2),
    message.int(3, 64),
  ];
  if (!header) throw new RangeError('no header');
  if (kind === messages.schema && !schema) {
    return { schema: parseSchema(header, version, fail), bodyBytes };
  }
  if (!schema) return fail('comes before the schema.');
  if (kind === messages.dictionary) return { bodyBytes };
  if (kind !== messages.batch) return fail(`is of kind ${kind}; a record batch was expected.`);
  const compression = header.table(3);
  const codec = compression && codecs[compression.int(0, 8)];
  if (compression && !(codec && compression.int(1, 8) === 0)) {
    fail('has values compressed in a way that is not known; LZ4 or ZSTD was expected.');
  }
  const rows = header.int(0, 64);
  if (rows < 0) throw new RangeError('a negative number of rows');
  const variadic = header.integers(4, 1, 8);
  const batch = {
    rows,
    codec,
    nodes: header.integers(1, 2, 16),
    buffers: header.integers(2, 2, 16),
    columns: variadic.length > 0 ? layout(schema.fields, variadic) : schema.usual,
    body,
    bodyBytes,
  };
  return { batch, bodyBytes };
}

/** @throws RangeError if it is damaged. */
function parseSchema(schema: FlatTable, version: number, fail: Fail): Schema {
  if (version < version4 || version > version5) {
    return fail(`is of version ${version + 1} of Arrow's metadata; 4 or 5 was expected.`);
  }
  if (schema.int(0, 16) !== 0) fail('says that values are big-endian; little-endian was expected.');
  const budget = { fields: mostFields };
  const fields = schema.tables(1).map((field) => parseField(field, version, budget, 0));
  return { fields, usual: layout(fields, []) };
}

/** @param budget how many fields there may still be: those of a damaged schema can share what lies within them. */
function parseField(
  field: FlatTable,
  version: number,
  budget: { fields: number },
  depth: number,
): ArrowField {
  budget.fields -= 1;
  if (budget.fields < 0 || depth > deepestField) throw new RangeError('too many fields');
  const kind = field.int(2, 8);
  const type = field.table(3);
  const [typeName, usual] = types[kind] ?? [`type ${kind}`, 0];
  const children = field.tables(5).map((child) => parseField(child, version, budget, depth + 1));
  const name = field.text(0);
  // A dictionary's column has its places; its values are in batches of their own.
  if (field.table(4)) return { name, type: 'dictionary', buffers: 2, children: [] };
  const element = type && elementOf(typeName, type);
  // A union has the types of its values, and a dense one their places; before version 5, also what is null.
  const more = typeName === 'union' ? (type?.int(0, 16) ?? 0) + (version < version5 ? 1 : 0) : 0;
  return {
    name,
    type: element ?? numberName(typeName, type),
    element,
    offsetBytes: typeName === 'list' ? 4 : typeName === 'large_list' ? 8 : undefined,
    size: typeName === 'fixed_size_list' ? Math.max(0, type?.int(0, 32) ?? 0) : undefined,
    buffers: usual + more,
    children,
  };
}

function elementOf(name: string, type: FlatTable): Element | undefined {
  if (name === 'float') return (['f16', 'f32', 'f64'] as const)[type.int(0, 16)];
  const sizes = { 8: ['u8', 'i8'], 16: ['u16', 'i16'], 32: ['u32', 'i32'] } as const;
  return name === 'int' ? sizes[type.int(0, 32) as 8 | 16 | 32]?.[type.int(1, 8) === 0 ? 0 : 1] : undefined;
}

function numberName(name: string, type: FlatTable | undefined): string {
  return type && name === 'int' ? `${type.int(1, 8) === 0 ? 'u' : 'i'}${type.int(0, 32)}` : name;
}

/**
 * The numbers of the first node and the first buffer of each column in a batch.
 * @param variadic how many more buffers each view has, in the order of the schema.
 */
function layout(fields: readonly ArrowField[], variadic: readonly number[]): ArrowBatch['columns'] {
  let [node, buffer, views] = [0, 0, 0];
  const skip = ({ type, buffers, children }: ArrowField) => {
    const view = type === 'utf8_view' || type === 'binary_view';
    node += 1;
    buffer += buffers + (view ? (variadic[views++] ?? 0) : 0);
    children.forEach(skip);
  };
  return fields.map((field) => {
    const first = { node, buffer };
    skip(field);
    return first;
  });
}
