import type { PreBiasInit } from '../config.js';
import { blocks, evenly, everyRow, inPieces, runsOf } from '../rows/blocks.js';
import { normalizedRows } from '../rows/dataset.js';
import { RowMoments } from '../rows/moments.js';
import { isOnHost, kindOf, normalizedOnHost } from '../rows/normalization/index.js';
import { type DeviceRows, valueBytes } from '../rows/source.js';
import { sampleRows } from './random.js';

/** Bytes of rows of which the mean is computed, more or less. */
const meanBytes = 2 ** 30;
/** Rows of which the median is computed, at most. */
const medianRows = 8192;

/** The most iterations, and the length of a step below which they end: those of dictionary_learning. */
const mostIterations = 100;
const tolerance = 1e-5;

/**
 * A bias to begin with, [in_dims], in the model's normalised units: the mean of all rows, or of blocks of them that are
 * spread evenly if they take more than 1 GiB; or the geometric median of at most 8,192 rows, drawn by the seed.
 * @throws DataError if a row is not finite, and whatever the source throws.
 */
export async function initialPreBias(
  source: DeviceRows,
  init: Exclude<PreBiasInit, 'zero'>,
  seed: number,
): Promise<Float32Array<ArrayBuffer>> {
  const { rows, in_dims } = source;
  switch (init) {
    case 'mean':
      return meanOf(source);
    case 'median': {
      const places = rows > medianRows ? sampleRows(rows, medianRows, seed).sort((a, b) => a - b) : undefined;
      const points = new Float32Array((places?.length ?? rows) * in_dims);
      let at = 0;
      for await (const { values, first } of blocks(source, places ? runsOf(places) : everyRow(source))) {
        const block = { ...source, data: values, rows: values.length / in_dims };
        points.set(normalizedRows(block, first), at);
        at += values.length;
      }
      return Float32Array.from(geometricMedian(points, in_dims));
    }
  }
}

/** The mean row, normalised. */
async function meanOf(source: DeviceRows): Promise<Float32Array<ArrayBuffer>> {
  const { in_dims, stored } = source;
  // Where a row's own norm does not matter, that of rows as they are stored will do, which need not be normalised then.
  const read = stored && kindOf(stored.normalization).linear ? stored : source;
  const moments = new RowMoments(in_dims);
  const rowBytes = in_dims * valueBytes[read.type];
  for await (const { values } of blocks(read, inPieces(evenly(read, meanBytes), rowBytes), [])) {
    moments.add(values);
  }
  const scale = read.type === 'u8' ? 1 / 255 : 1;
  if (isOnHost(read.normalization)) {
    const mean = Float32Array.from(moments.mean, (value) => value * scale);
    return normalizedOnHost(mean, in_dims, read.normalization);
  }
  const { mean, std } = read.normalization;
  return Float32Array.from(moments.mean, (value) => (value * scale - mean) / std);
}

/**
 * The point with the smallest sum of distances from given ones, [points, columns], by Weiszfeld's iterations from their
 * mean, in double. Where an iteration meets one of the points, whose distance of 0 it cannot divide by, that point is
 * weighed as Vardi and Zhang (2000) do.
 */
export function geometricMedian(points: Float32Array, columns: number): Float64Array {
  const count = points.length / columns;
  const moments = new RowMoments(columns);
  moments.add(points);
  let at = moments.mean;
  for (let iteration = 0; iteration < mostIterations; iteration++) {
    const next = new Float64Array(columns);
    let weights = 0;
    let here = 0;
    for (let i = 0; i < count; i++) {
      const point = points.subarray(i * columns, (i + 1) * columns);
      let squares = 0;
      for (let j = 0; j < columns; j++) {
        squares += (point[j] - at[j]) ** 2;
      }
      if (squares === 0) {
        here += 1;
        continue;
      }
      const weight = 1 / Math.sqrt(squares);
      weights += weight;
      for (let j = 0; j < columns; j++) {
        next[j] += weight * point[j];
      }
    }
    if (weights === 0) {
      return at;
    }
    // How strongly the other points pull: with more points here than that, this is the median.
    const pull = norm(next.map((value, j) => value - weights * at[j]));
    const staying = pull > 0 ? Math.min(1, here / pull) : 1;
    const last = at;
    at = next.map((value, j) => staying * last[j] + ((1 - staying) * value) / weights);
    if (norm(at.map((value, j) => value - last[j])) < tolerance) {
      return at;
    }
  }
  return at;
}

function norm(vector: Float64Array): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value ** 2, 0));
}
