import { elements } from '../../rows/formats/array.js';
import { refuse } from './bytes.js';

/** The types of stored values, by their names in safetensors files: bytes a value, and how one is read. */
export const valueTypes = {
  F64: elements.f64,
  F32: elements.f32,
  F16: elements.f16,
  BF16: elements.bf16,
  I64: {
    bytes: 8,
    read: (view: DataView, at: number, little: boolean) => Number(view.getBigInt64(at, little)),
  },
  I32: elements.i32,
  U32: elements.u32,
  I16: elements.i16,
  U16: elements.u16,
  I8: elements.i8,
  U8: elements.u8,
  BOOL: elements.u8,
} as const;
export type ValueType = keyof typeof valueTypes;

/** A tensor of which only the place is known yet. */
export interface StoredTensor {
  readonly type: ValueType;
  /** Values along each dimension; none for a single number. */
  readonly shape: readonly number[];
  /** How far apart neighbours along each dimension lie in the storage, in values. */
  readonly strides: readonly number[];
  /** Where the first value lies in the storage, in values. */
  readonly offset: number;
  /** Reads the storage, which other tensors may share, into memory of its own. */
  storage(): Promise<Uint8Array<ArrayBuffer>>;
}

/** Values of a tensor: double for types that hold more than f32 does. */
export type Values = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

/** Strides of values that lie in the order of their indices, the last one running fastest. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  return shape.map((_, i) => countOf(shape.slice(i + 1)));
}

/** The same values with the two dimensions exchanged. */
export function transposed(tensor: StoredTensor): StoredTensor {
  return {
    type: tensor.type,
    shape: tensor.shape.toReversed(),
    strides: tensor.strides.toReversed(),
    offset: tensor.offset,
    storage: () => tensor.storage(),
  };
}

/**
 * Reads a tensor of at most two dimensions, row-major whatever its strides are.
 * @param source name of file and tensor in messages.
 * @throws ModelFileError where a value is not finite.
 */
export async function readTensor(tensor: StoredTensor, source: string): Promise<Values> {
  const { type, shape, strides, offset } = tensor;
  const bytes = await tensor.storage();
  const values =
    type === 'F32' && isRowMajor(shape, strides)
      ? new Float32Array(bytes.buffer, 4 * offset, countOf(shape))
      : gathered(tensor, new DataView(bytes.buffer));
  // A plain loop, which takes a third of the time of `findIndex` for billions of values.
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      refuse(source, `it has ${values[i]} at index ${i}, and finite values were expected.`);
    }
  }
  return values;
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  const expected = rowMajorStrides(shape);
  return shape.every((side, i) => side === 1 || strides[i] === expected[i]);
}

function gathered({ type, shape, strides, offset }: StoredTensor, view: DataView): Values {
  const [rows, columns] = [1, 1, ...shape].slice(-2);
  const [rowStride, columnStride] = [0, 0, ...strides].slice(-2);
  const { bytes, read } = valueTypes[type];
  const wide = type === 'F64' || type === 'I64' || type === 'I32' || type === 'U32';
  const values = wide ? new Float64Array(rows * columns) : new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const start = offset + row * rowStride;
    for (let column = 0; column < columns; column++) {
      values[row * columns + column] = read(view, bytes * (start + column * columnStride), true);
    }
  }
  return values;
}
