import { mnistNormalization, noNormalization, type ScalarNormalization } from './dataset.js';
import type { RowFiles } from './decode.js';
import { Distribution, type Histogram } from './distribution.js';
import { Duplicates, type DuplicatesState } from './duplicates.js';
import type { StoredRows } from './rows.js';

/** What is named of each kind, at most: the first ones. */
const mostNamed = 5;
const histogramBins = 12;
/** The share of the norms at either end that a histogram counts together. */
const outermost = 0.005;

/** Where a row is. */
export interface RowPlace {
  readonly file: string;
  /** From 0, in that file. */
  readonly row: number;
}

/** What is in rows: 8-bit values are divided by 255, as models get them. */
export interface RowsSummary {
  readonly rows: number;
  /** Of all values that are finite; undefined if none is. */
  readonly values?: ValuesSummary;
  readonly nonfinite: {
    /** Values and the rows that have such. */
    readonly values: number;
    readonly rows: number;
    readonly first: readonly NonfiniteValue[];
  };
  /** Rows that are copies of earlier ones, as in `DuplicatesState`. */
  readonly duplicates: Omit<DuplicatesState, 'first'> & {
    readonly first: readonly (RowPlace & { readonly of: RowPlace })[];
  };
  /** Of the Euclidean norms of the rows that are finite; undefined if none is. */
  readonly norms?: NormsSummary;
}

export interface ValuesSummary {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Of the population. */
  readonly std: number;
  /** The share of those that are 0. */
  readonly zeros: number;
  /** What models get by default: mean and standard deviation of the values under the default normalisation. */
  readonly inputs: { readonly mean: number; readonly std: number };
}

export interface NonfiniteValue extends RowPlace {
  readonly column: number;
  readonly value: 'NaN' | 'Infinity' | '-Infinity';
}

export interface NormsSummary {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly median: number;
  /** Rows of norm 0. */
  readonly zero: number;
  readonly histogram: Histogram;
}

/**
 * Reads all rows once, and sums up what is in them, in double.
 * @param files opened with `nonfinite: 'keep'`.
 * @param onRows is told how many rows were read.
 * @throws DataError, and the signal's reason.
 */
export async function summarizeRows(
  files: Pick<RowFiles, 'files' | 'in_dims' | 'type'>,
  { onRows, signal }: { readonly onRows?: (rows: number) => void; readonly signal?: AbortSignal } = {},
): Promise<RowsSummary> {
  const sums = new RowSums(files.in_dims, files.type === 'u8' ? 1 / 255 : 1);
  for (const file of files.files) {
    sums.begin(file.file);
    for await (const piece of file.pieces()) {
      signal?.throwIfAborted();
      sums.add(piece);
      onRows?.(sums.rows);
    }
  }
  return sums.summary(files.type === 'u8' ? mnistNormalization : noNormalization);
}

class RowSums {
  rows = 0;
  /** The files so far, with the number of the first row of each. */
  readonly #files: { readonly file: string; readonly first: number }[] = [];
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #values = 0;
  #zeros = 0;
  /** Sums are of distances from the first value: of values that vary little around a large mean, these are small. */
  #origin: number | undefined;
  #sum = 0;
  #squares = 0;
  #nonfinite = 0;
  #nonfiniteRows = 0;
  readonly #firstNonfinite: NonfiniteValue[] = [];
  readonly #duplicates = new Duplicates(mostNamed);
  readonly #norms = new Distribution();
  #normRows = 0;
  #normSum = 0;
  #normMin = Number.POSITIVE_INFINITY;
  #normMax = 0;
  #zeroRows = 0;

  /** @param scale what stored values are multiplied by. */
  constructor(
    private readonly in_dims: number,
    private readonly scale: number,
  ) {}

  begin(file: string): void {
    this.#files.push({ file, first: this.rows });
  }

  add(values: StoredRows): void {
    const { in_dims } = this;
    const words =
      values instanceof Uint8Array
        ? values
        : new Uint32Array(values.buffer, values.byteOffset, values.length);
    for (let begin = 0; begin < values.length; begin += in_dims) {
      const end = begin + in_dims;
      this.#duplicates.add(words, begin, end, this.rows);
      this.#addRow(values, begin, end);
      this.rows += 1;
    }
  }

  #addRow(values: StoredRows, begin: number, end: number): void {
    const origin = this.#origin ?? firstFinite(values, begin, end);
    let [low, high, zeros, sum, squares, norm] = [
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      0,
      0,
      0,
      0,
    ];
    for (let i = begin; i < end; i++) {
      const value = values[i];
      if (value < low) low = value;
      if (value > high) high = value;
      if (value === 0) zeros += 1;
      const distance = value - origin;
      sum += distance;
      squares += distance * distance;
      norm += value * value;
    }
    // No square of a finite f32 is too large for double.
    if (!Number.isFinite(norm)) {
      this.#addNonfinite(values, begin, end);
      return;
    }
    this.#origin = origin;
    this.#min = Math.min(this.#min, low);
    this.#max = Math.max(this.#max, high);
    this.#values += end - begin;
    this.#zeros += zeros;
    this.#sum += sum;
    this.#squares += squares;
    const length = Math.sqrt(norm);
    this.#norms.add(length);
    this.#normRows += 1;
    this.#normSum += length;
    this.#normMin = Math.min(this.#normMin, length);
    this.#normMax = Math.max(this.#normMax, length);
    if (length === 0) this.#zeroRows += 1;
  }

  /** A row that is not finite: those of its values that are count. */
  #addNonfinite(values: StoredRows, begin: number, end: number): void {
    this.#nonfiniteRows += 1;
    for (let i = begin; i < end; i++) {
      const value = values[i];
      if (Number.isFinite(value)) {
        this.#origin ??= value;
        this.#min = Math.min(this.#min, value);
        this.#max = Math.max(this.#max, value);
        this.#values += 1;
        if (value === 0) this.#zeros += 1;
        this.#sum += value - this.#origin;
        this.#squares += (value - this.#origin) ** 2;
        continue;
      }
      this.#nonfinite += 1;
      if (this.#firstNonfinite.length < mostNamed) {
        const name = String(value) as NonfiniteValue['value'];
        this.#firstNonfinite.push({ ...this.#placeOf(this.rows), column: i - begin, value: name });
      }
    }
  }

  #placeOf(row: number): RowPlace {
    const { file, first } = this.#files.findLast((one) => one.first <= row)!;
    return { file, row: row - first };
  }

  summary(normalization: ScalarNormalization): RowsSummary {
    const { sampled, rows, noticed, first } = this.#duplicates;
    return {
      rows: this.rows,
      ...(this.#values > 0 && { values: this.#valuesSummary(normalization) }),
      nonfinite: { values: this.#nonfinite, rows: this.#nonfiniteRows, first: this.#firstNonfinite },
      duplicates: {
        sampled,
        rows,
        noticed,
        first: first.map(([row, of]) => ({ ...this.#placeOf(row), of: this.#placeOf(of) })),
      },
      ...(this.#normRows > 0 && { norms: this.#normsSummary() }),
    };
  }

  #valuesSummary(normalization: ScalarNormalization): ValuesSummary {
    const { scale } = this;
    const apart = this.#sum / this.#values;
    const mean = (this.#origin! + apart) * scale;
    const std = Math.sqrt(Math.max(0, this.#squares / this.#values - apart ** 2)) * scale;
    return {
      min: this.#min * scale,
      max: this.#max * scale,
      mean,
      std,
      zeros: this.#zeros / this.#values,
      inputs: { mean: (mean - normalization.mean) / normalization.std, std: std / normalization.std },
    };
  }

  #normsSummary(): NormsSummary {
    const { scale } = this;
    const [median] = this.#norms.quantiles([0.5]);
    const { edges, ...counts } = this.#norms.histogram(histogramBins, outermost);
    return {
      min: this.#normMin * scale,
      max: this.#normMax * scale,
      mean: (this.#normSum / this.#normRows) * scale,
      median: median * scale,
      zero: this.#zeroRows,
      histogram: { edges: edges.map((edge) => edge * scale), ...counts },
    };
  }
}

function firstFinite(values: StoredRows, begin: number, end: number): number {
  for (let i = begin; i < end; i++) if (Number.isFinite(values[i])) return values[i];
  return 0;
}
