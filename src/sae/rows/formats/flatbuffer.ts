/**
 * A table of a FlatBuffer (https://flatbuffers.dev/internals), whose fields are named by their numbers in the schema. What lies
 * beyond the bytes throws a RangeError, and nothing is allocated for more elements than there are bytes.
 */
export class FlatTable {
  private constructor(
    readonly view: DataView,
    readonly at: number,
  ) {}

  /** The table that a buffer begins with. */
  static root({ buffer, byteOffset, byteLength }: Uint8Array): FlatTable {
    const view = new DataView(buffer, byteOffset, byteLength);
    return new FlatTable(view, view.getUint32(0, true));
  }

  /** An integer of 8 to 64 bits with a sign; a boolean is 0 or 1. @throws RangeError if no double has it. */
  int(field: number, bits: 8 | 16 | 32 | 64, missing = 0): number {
    const at = this.#place(field);
    if (at === 0) return missing;
    if (bits === 64) return integerAt(this.view, at);
    if (bits === 32) return this.view.getInt32(at, true);
    return bits === 16 ? this.view.getInt16(at, true) : this.view.getInt8(at);
  }

  text(field: number): string {
    const at = this.#place(field);
    if (at === 0) return '';
    const [first, length] = this.#vector(at, 1);
    return new TextDecoder().decode(new Uint8Array(this.view.buffer, this.view.byteOffset + first, length));
  }

  table(field: number): FlatTable | undefined {
    const at = this.#place(field);
    return at === 0 ? undefined : this.#follow(at);
  }

  tables(field: number): FlatTable[] {
    const at = this.#place(field);
    if (at === 0) return [];
    const [first, length] = this.#vector(at, 4);
    return Array.from({ length }, (_, i) => this.#follow(first + 4 * i));
  }

  /** The first `each` integers of 64 bits of every one of a vector's structures, which have so many bytes. */
  integers(field: number, each: number, bytes: number): number[] {
    const at = this.#place(field);
    if (at === 0) return [];
    const [first, length] = this.#vector(at, bytes);
    return Array.from({ length: length * each }, (_, i) =>
      integerAt(this.view, first + Math.floor(i / each) * bytes + 8 * (i % each)),
    );
  }

  /** Where a field is, or 0 if it has its default. */
  #place(field: number): number {
    const fields = this.at - this.view.getInt32(this.at, true);
    const entry = 4 + 2 * field;
    const offset = entry < this.view.getUint16(fields, true) ? this.view.getUint16(fields + entry, true) : 0;
    return offset === 0 ? 0 : this.at + offset;
  }

  #follow(at: number): FlatTable {
    return new FlatTable(this.view, at + this.view.getUint32(at, true));
  }

  #vector(at: number, bytes: number): readonly [first: number, length: number] {
    const start = at + this.view.getUint32(at, true);
    const length = this.view.getUint32(start, true);
    if (start + 4 + length * bytes > this.view.byteLength)
      throw new RangeError('a vector ends beyond the buffer');
    return [start + 4, length];
  }
}

function integerAt(view: DataView, at: number): number {
  const value = Number(view.getBigInt64(at, true));
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is too large`);
  return value;
}
