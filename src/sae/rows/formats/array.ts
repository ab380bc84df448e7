/** The header of an array file, which comes before its values. */
export interface ArrayHeader {
  readonly element: Element;
  readonly littleEndian: boolean;
  /** Whether the first index varies fastest, as in Fortran, instead of the last. */
  readonly fortranOrder: boolean;
  /** In the order in which the last index varies fastest. */
  readonly shape: readonly number[];
  /** Where the values begin. */
  readonly headerBytes: number;
}

/**
 * The types of values in files: bytes per value, and how one is read. All but u8 become f32; what f32 does not hold
 * exactly, such as integers beyond 2^24, is rounded to the nearest that it does.
 */
export const elements = {
  u8: { bytes: 1, read: (view: DataView, at: number) => view.getUint8(at) },
  i8: { bytes: 1, read: (view: DataView, at: number) => view.getInt8(at) },
  u16: { bytes: 2, read: (view: DataView, at: number, little: boolean) => view.getUint16(at, little) },
  i16: { bytes: 2, read: (view: DataView, at: number, little: boolean) => view.getInt16(at, little) },
  u32: { bytes: 4, read: (view: DataView, at: number, little: boolean) => view.getUint32(at, little) },
  i32: { bytes: 4, read: (view: DataView, at: number, little: boolean) => view.getInt32(at, little) },
  f16: {
    bytes: 2,
    read: (view: DataView, at: number, little: boolean) => float16(view.getUint16(at, little)),
  },
  bf16: {
    bytes: 2,
    read: (view: DataView, at: number, little: boolean) => bfloat16(view.getUint16(at, little)),
  },
  f32: { bytes: 4, read: (view: DataView, at: number, little: boolean) => view.getFloat32(at, little) },
  f64: { bytes: 8, read: (view: DataView, at: number, little: boolean) => view.getFloat64(at, little) },
} as const;
export type Element = keyof typeof elements;

/** The types' names. */
export const elementTypes = Object.keys(elements) as readonly Element[];

/** The types in a sentence: `u8, i8, ... or f64`. */
export const elementNames = alternatives(elementTypes);

/** Bytes at the start of a file by which its format is recognised. */
export const recognizedBytes = 512;
/** A header takes about 128 bytes; a file with a longer one than this is rejected. */
export const longestHeader = 65_536;

export function product(sides: readonly number[]): number {
  return sides.reduce((all, side) => all * side, 1);
}

const powersOfTwo = Float64Array.from({ length: 31 }, (_, exponent) => 2 ** (exponent - 25));

/** IEEE 754 binary16: a sign, five bits of exponent, ten of fraction. */
function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1024 + fraction) * powersOfTwo[exponent];
}

const word = new DataView(new ArrayBuffer(4));

/** bfloat16 is the upper half of an f32. */
function bfloat16(bits: number): number {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}

/** A count for messages: 9,912,422, or 1.21e+30 if it is very large. */
export function grouped(count: number): string {
  return count < 1e15 ? count.toLocaleString('en-US') : count.toPrecision(3);
}

/** A count of things for messages: `1 row`, `2,000 rows`. */
export function counted(count: number, what: string): string {
  return `${grouped(count)} ${what}${count === 1 ? '' : 's'}`;
}

export function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** `a, b or c`. */
export function alternatives(names: readonly string[]): string {
  return names.join(', ').replace(/, ([^,]*)$/, ' or $1');
}
