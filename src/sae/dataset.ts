/** Turns a stored value v into an input: (v - mean) / std, where an 8-bit v is divided by 255 first. */
export interface Normalization {
  readonly mean: number;
  readonly std: number;
}

/** What the PyTorch original uses for MNIST's digits. */
export const mnistNormalization: Normalization = { mean: 0.1307, std: 0.3081 };

/** Leaves floats as they are and 8-bit values in 0..1. */
export const noNormalization: Normalization = { mean: 0, std: 1 };

/** Examples as rows. */
export interface Dataset {
  /** What messages call it: `mnist`, `mnist-10k` or a file's name. */
  readonly name: string;
  readonly rows: number;
  /** Values a row. */
  readonly in_dims: number;
  /** Row-major, [rows, in_dims], as stored: not normalised yet. */
  readonly data: Uint8Array | Float32Array;
  /** [height, width] where rows are images; height * width = in_dims. */
  readonly image_shape?: readonly [number, number];
  readonly normalization: Normalization;
}

/** The rows from `first` up to, not including, `end`, as a view of the same memory. */
export function sliceRows(dataset: Dataset, first: number, end: number): Dataset {
  const { in_dims, data } = dataset;
  return { ...dataset, rows: end - first, data: data.subarray(first * in_dims, end * in_dims) };
}

/** The rows as the model sees them, normalised: [rows, in_dims]. */
export function normalizedRows({ data, normalization }: Dataset): Float32Array<ArrayBuffer> {
  const scale = data instanceof Uint8Array ? 1 / 255 : 1;
  const { mean, std } = normalization;
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    out[i] = (data[i] * scale - mean) / std;
  }
  return out;
}

/** The given rows, as a data set of their own. */
export function pickRows(dataset: Dataset, indices: readonly number[]): Dataset {
  const { in_dims, data } = dataset;
  const picked =
    data instanceof Uint8Array
      ? new Uint8Array(indices.length * in_dims)
      : new Float32Array(indices.length * in_dims);
  indices.forEach((row, i) => {
    picked.set(data.subarray(row * in_dims, (row + 1) * in_dims), i * in_dims);
  });
  return { ...dataset, rows: indices.length, data: picked };
}
