import type { ColumnMetaData, PageHeader } from 'hyparquet/src/types.js';
import { type Element, elements, grouped, product, viewOf } from './array.js';
import { type ByteSource, type Fail, readPart } from './bytes.js';

// Pages of a column: https://parquet.apache.org/docs/file-format. hyparquet reads the headers and has what unpacks them. Values
// stay bytes here, and levels are only compared with those that lists of one length have: hyparquet makes lists of JavaScript's
// numbers of them, which takes several times as long and three times the memory.

/** Bytes of a page's header that are read at first; with statistics of texts, there may be more. */
const headerGuess = 1024;
const longestHeader = 2 ** 22;
/** Bytes of a page's values, at most: a few bytes can claim to unpack to as many as one likes. */
const mostPageBytes = 2 ** 28;

/** What is known of a column before its pages are read. */
export interface PagedColumn {
  /** The type of the values as rows have them, and that as which they are stored. */
  readonly element: Element;
  readonly stored: Element;
  /** How many levels of lists there are, and of what may be missing. */
  readonly repeated: number;
  readonly optional: number;
  /** Says what is wrong with a row of the column. */
  wrong(row: number, what: string): never;
  readonly fail: Fail;
}

/** A page of values. */
interface Page {
  readonly header: PageHeader;
  /** Where its bytes begin. */
  readonly place: number;
  /** Values before it in its group. */
  readonly first: number;
  readonly values: number;
}

interface Index {
  readonly pages: readonly Page[];
  readonly dictionary: Page | undefined;
}

/** The values of a column in a group of rows. */
export class ColumnChunk {
  #index: Index | undefined;
  #dictionary: Uint8Array | undefined;
  /** The last page that was unpacked. */
  #last: { readonly page: Page; readonly bytes: Uint8Array } | undefined;

  /**
   * @param firstRow rows before the group.
   * @param sides the lengths of its lists, from the outermost one on.
   */
  constructor(
    readonly file: ByteSource,
    readonly column: PagedColumn,
    readonly data: ColumnMetaData,
    readonly firstRow: number,
    readonly sides: readonly number[],
  ) {}

  /** The bytes of the values from `from` up to, not including, `to`, counted within the group. */
  async copy(from: number, to: number, into: Uint8Array): Promise<void> {
    const { bytes: size } = elements[this.column.element];
    this.#index ??= await this.#readIndex();
    for (const page of this.#index.pages) {
      const first = Math.max(from, page.first);
      const end = Math.min(to, page.first + page.values);
      if (first >= end) continue;
      const bytes = this.#last?.page === page ? this.#last.bytes : await this.#unpack(page);
      this.#last = { page, bytes };
      into.set(bytes.subarray((first - page.first) * size, (end - page.first) * size), (first - from) * size);
    }
  }

  /** The lengths of the first lists of each depth, from the outermost one on. @param total values of the group. */
  async lengths(total: number): Promise<number[]> {
    this.#index ??= await this.#readIndex();
    const [page] = this.#index.pages;
    if (!page) return [];
    const { repetition } = await this.#levels(page);
    const values = Array.from({ length: this.column.repeated }, (_, depth) => {
      const next = repetition.findIndex((level, i) => i > 0 && level <= depth);
      return next < 0 ? Math.min(total, repetition.length) : next;
    });
    return values.map((length, i) => Math.round(length / (values[i + 1] ?? 1)));
  }

  /** Looks through all of it for a row that is not as the first one. @throws DataError if there is one. */
  async check(): Promise<void> {
    this.#index ??= await this.#readIndex();
    for (const page of this.#index.pages) this.#checkLevels(page, await this.#levels(page));
  }

  /** Forgets what was unpacked. */
  release(): void {
    this.#last = undefined;
    this.#dictionary = undefined;
  }

  /** Reads the headers of all pages. */
  async #readIndex(): Promise<Index> {
    const { data, column } = this;
    const { parquetHeader } = await import('hyparquet/src/column.js');
    const total = Number(data.num_values);
    const begin = firstByte(data);
    const end = begin + Number(data.total_compressed_size);
    const pages: Page[] = [];
    let dictionary: Index['dictionary'];
    let first = 0;
    let at = begin;
    while (first < total) {
      const { header, length } = await this.#header(at, end, parquetHeader);
      const place = at + length;
      const bytes = header.compressed_page_size;
      const unpacked = header.uncompressed_page_size;
      if (!(bytes >= 0 && place + bytes <= end && unpacked >= 0)) {
        column.fail(
          `its page at byte ${grouped(at)} ends at byte ${place + bytes}, and its column at ${grouped(end)}.`,
        );
      }
      if (unpacked > mostPageBytes) {
        column.fail(
          `its page at byte ${grouped(at)} unpacks to ${grouped(unpacked)} bytes; at most ${grouped(mostPageBytes)} are read.`,
        );
      }
      if (header.dictionary_page_header) {
        dictionary = { header, place, first, values: header.dictionary_page_header.num_values ?? 0 };
      }
      const own = header.data_page_header ?? header.data_page_header_v2;
      if (own) {
        const { num_values: values } = own;
        if (
          !(values >= 0 && first + values <= total && values * elements[column.stored].bytes <= mostPageBytes)
        ) {
          column.fail(
            `its page at byte ${grouped(at)} claims ${values ?? 'no'} values of ${grouped(total - first)}.`,
          );
        }
        pages.push({ header, place, first, values });
        first += values;
      }
      at = place + bytes;
    }
    return { pages, dictionary };
  }

  async #header(at: number, end: number, parse: (reader: { view: DataView; offset: number }) => PageHeader) {
    const { file, column } = this;
    for (let guess = headerGuess; ; guess *= 8) {
      if (at >= end)
        return column.fail(`its pages end at byte ${grouped(at)} with fewer values than it claims.`);
      const bytes = await readPart(file, at, Math.min(guess, end - at), column.fail);
      const reader = { view: viewOf(bytes), offset: 0 };
      try {
        const header = parse(reader);
        return { header, length: reader.offset };
      } catch (error) {
        if (guess >= Math.min(longestHeader, end - at)) {
          return column.fail(`its page at byte ${grouped(at)} has a damaged header.`, error);
        }
      }
    }
  }

  /** A page's values, as rows have them. */
  async #unpack(page: Page): Promise<Uint8Array> {
    const { column } = this;
    const levels = await this.#levels(page);
    this.#checkLevels(page, levels);
    const bytes = await this.#decode(levels.body, levels.encoding, page.values, page.place);
    return column.stored === column.element ? bytes : narrowed(bytes, column);
  }

  #checkLevels(
    { first }: Page,
    { repetition, definition }: { repetition: Uint8Array; definition: Uint8Array },
  ): void {
    const { column, sides } = this;
    const each = product(sides);
    const rowOf = (i: number) => this.firstRow + Math.floor((first + i) / each);
    const other = firstOther(repetition, first, sides);
    for (let i = 0; i < definition.length && (other < 0 || i <= other); i++) {
      if (definition[i] !== column.optional) {
        column.wrong(rowOf(i), column.repeated > 0 ? 'null or an empty list' : 'null');
      }
    }
    if (other >= 0) column.wrong(rowOf(other), 'a list of another length');
  }

  /** A page's levels and the bytes of its values. */
  async #levels({ header, place, values }: Page) {
    const { file, column } = this;
    const { repeated, optional } = column;
    const packed = await readPart(file, place, header.compressed_page_size, column.fail);
    const damaged = (error: unknown) => column.fail(`its page at byte ${grouped(place)} is damaged.`, error);
    const v2 = header.data_page_header_v2;
    if (v2) {
      const [r, d] = [v2.repetition_levels_byte_length, v2.definition_levels_byte_length];
      if (!(r >= 0 && d >= 0 && r + d <= packed.length)) damaged(undefined);
      const repetition = levelsOf(packed.subarray(0, r), values, repeated, damaged);
      const definition = levelsOf(packed.subarray(r, r + d), values, optional, damaged);
      const rest = packed.subarray(r + d);
      const length = header.uncompressed_page_size - r - d;
      const body = v2.is_compressed === false ? rest : await this.#decompress(rest, length, place);
      return { repetition, definition, body, encoding: v2.encoding };
    }
    let body = await this.#decompress(packed, header.uncompressed_page_size, place);
    const next = (most: number) => {
      if (most === 0) return new Uint8Array(0);
      const length = body.length < 4 ? Number.POSITIVE_INFINITY : viewOf(body).getUint32(0, true);
      if (4 + length > body.length) damaged(undefined);
      const levels = levelsOf(body.subarray(4, 4 + length), values, most, damaged);
      body = body.subarray(4 + length);
      return levels;
    };
    const repetition = next(repeated);
    const definition = next(optional);
    return { repetition, definition, body, encoding: header.data_page_header!.encoding };
  }

  async #readDictionary(damaged: () => never): Promise<Uint8Array> {
    const { header, place, values } = this.#index?.dictionary ?? damaged();
    const packed = await readPart(this.file, place, header.compressed_page_size, this.column.fail);
    const body = await this.#decompress(packed, header.uncompressed_page_size, place);
    return this.#plain(body, values, place);
  }

  async #decompress(packed: Uint8Array, length: number, place: number): Promise<Uint8Array> {
    const { column, data } = this;
    if (data.codec === 'UNCOMPRESSED' || length === 0) return packed;
    if (data.codec === undefined) column.fail('its footer is damaged: it names no codec that is known.');
    const unpack = await unpacker(data.codec);
    if (!unpack) {
      return column.fail(
        `its values are compressed with ${data.codec}, which cannot be unpacked here. Write it uncompressed or with snappy.`,
      );
    }
    try {
      const bytes = unpack(packed, length);
      if (bytes.length !== length)
        throw new Error(`it unpacks to ${bytes.length} bytes instead of ${length}`);
      return bytes;
    } catch (error) {
      return column.fail(
        `its page at byte ${grouped(place)} cannot be unpacked (${(error as Error).message}).`,
        error,
      );
    }
  }

  #plain(body: Uint8Array, values: number, place: number): Uint8Array {
    const length = values * elements[this.column.stored].bytes;
    if (!(length <= body.length)) {
      this.column.fail(
        `its page at byte ${grouped(place)} has ${grouped(body.length)} bytes for ${grouped(values)} ${this.column.stored} values.`,
      );
    }
    return body.subarray(0, length);
  }

  async #decode(
    body: Uint8Array,
    encoding: string | undefined,
    values: number,
    place: number,
  ): Promise<Uint8Array> {
    const { column } = this;
    const { bytes: size } = elements[column.stored];
    const damaged = (error?: unknown) => column.fail(`its page at byte ${grouped(place)} is damaged.`, error);
    switch (encoding) {
      case 'PLAIN':
        return this.#plain(body, values, place);
      case 'PLAIN_DICTIONARY':
      case 'RLE_DICTIONARY': {
        this.#dictionary ??= await this.#readDictionary(damaged);
        const dictionary = this.#dictionary;
        const width = body[0] ?? damaged();
        const places = new Uint32Array(values);
        hybrid(body.subarray(1), width, places, damaged);
        const out = new Uint8Array(values * size);
        for (let i = 0; i < values; i++) {
          const at = places[i] * size;
          if (at >= dictionary.length) damaged();
          for (let k = 0; k < size; k++) out[i * size + k] = dictionary[at + k];
        }
        return out;
      }
      case 'BYTE_STREAM_SPLIT': {
        const split = this.#plain(body, values, place);
        const out = new Uint8Array(split.length);
        for (let k = 0; k < size; k++) {
          for (let i = 0; i < values; i++) out[i * size + k] = split[k * values + i];
        }
        return out;
      }
      case 'DELTA_BINARY_PACKED': {
        if (column.stored !== 'i32' && column.stored !== 'u32') return damaged();
        const { deltaBinaryUnpack } = await import('hyparquet/src/delta.js');
        const out = new Int32Array(values);
        try {
          deltaBinaryUnpack({ view: viewOf(body), offset: 0 }, values, out);
        } catch (error) {
          damaged(error);
        }
        return new Uint8Array(out.buffer);
      }
      default:
        if (encoding === undefined) return damaged();
        return column.fail(
          `its values are encoded as ${encoding}, which cannot be read. Write it with another encoding.`,
        );
    }
  }
}

/** Where the pages of a column begin in a group of rows. */
export function firstByte({ dictionary_page_offset, data_page_offset }: ColumnMetaData): number {
  const data = Number(data_page_offset);
  const dictionary = Number(dictionary_page_offset ?? 0);
  return dictionary > 0 && dictionary < data ? dictionary : data;
}

type Unpack = (packed: Uint8Array, length: number) => Uint8Array;

async function unpacker(codec: ColumnMetaData['codec']): Promise<Unpack | undefined> {
  if (codec === 'SNAPPY') {
    const { snappyUncompress } = await import('hyparquet/src/snappy.js');
    return (packed, length) => {
      const out = new Uint8Array(length);
      snappyUncompress(packed, out);
      return out;
    };
  }
  // Where a page forbids WebAssembly, it cannot be loaded.
  const { compressors } = await import('hyparquet-compressors').catch(() => ({ compressors: undefined }));
  return compressors?.[codec];
}

/** Levels from 0 to `most`, none if there is nothing to tell. */
function levelsOf(
  bytes: Uint8Array,
  count: number,
  most: number,
  damaged: (error?: unknown) => never,
): Uint8Array {
  const levels = new Uint8Array(most === 0 ? 0 : count);
  if (most > 0) hybrid(bytes, 32 - Math.clz32(most), levels, damaged);
  return levels;
}

/**
 * Numbers of `width` bits, in runs of one value or packed. hyparquet's own reader goes on where a damaged run ends beyond what is wanted,
 * for minutes.
 */
function hybrid(
  bytes: Uint8Array,
  width: number,
  out: Uint8Array | Uint32Array,
  damaged: (error?: unknown) => never,
): void {
  let at = 0;
  const next = () => (at < bytes.length ? bytes[at++] : damaged());
  // So that eight more bits fit into 32.
  if (width > 24) damaged();
  const mask = 2 ** width - 1;
  for (let filled = 0; filled < out.length; ) {
    let header = 0;
    for (let shift = 0, byte = 0x80; byte & 0x80; shift += 7) {
      if (shift > 28) damaged();
      byte = next();
      header += (byte & 0x7f) * 2 ** shift;
    }
    const run = Math.floor(header / 2);
    const left = out.length - filled;
    if (header % 2 === 0) {
      if (run === 0 || run > left) damaged();
      let value = 0;
      for (let shift = 0; shift < width; shift += 8) value += next() << shift;
      out.fill(value, filled, filled + run);
      filled += run;
      continue;
    }
    // Eight at a time are packed, of which the last may be too many.
    const count = Math.min(8 * run, left);
    const end = at + run * width;
    if (run === 0) damaged();
    let [bits, held] = [0, 0];
    for (let i = filled; i < filled + count; i++) {
      while (held < width) {
        bits |= next() << held;
        held += 8;
      }
      out[i] = bits & mask;
      bits >>>= width;
      held -= width;
    }
    filled += count;
    at = end;
  }
}

/**
 * The first of a page's values whose level of repetition is not that of lists of these lengths, or -1; of a list that is too long,
 * its last.
 * @param first values before the page.
 */
function firstOther(levels: Uint8Array, first: number, sides: readonly number[]): number {
  const each = product(sides);
  // A value's level is the depth of the innermost list that goes on with it.
  const expected = new Uint8Array(each).fill(sides.length);
  for (let depth = sides.length - 1; depth >= 0; depth--) {
    const length = product(sides.slice(depth));
    for (let i = 0; i < each; i += length) expected[i] = depth;
  }
  for (let i = 0, j = first % each; i < levels.length; i++) {
    if (levels[i] !== expected[j]) return levels[i] > expected[j] ? i - 1 : i;
    j = j + 1 === each ? 0 : j + 1;
  }
  return -1;
}

/** Integers that are stored with 32 bits and have fewer. */
function narrowed(bytes: Uint8Array, { element, stored }: PagedColumn): Uint8Array {
  const from = elements[stored].bytes;
  const to = elements[element].bytes;
  const out = new Uint8Array((bytes.length / from) * to);
  for (let i = 0, at = 0; i < out.length; i += to, at += from) {
    for (let k = 0; k < to; k++) out[i + k] = bytes[at + k];
  }
  return out;
}
