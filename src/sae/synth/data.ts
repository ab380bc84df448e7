import { DataError } from '../errors.js';
import { type Dataset, noNormalization } from '../rows/dataset.js';
import type { RowSource } from '../rows/source.js';
import { endTurn } from '../turn.js';
import { Activations, type ActiveFeatures } from './activations.js';
import type { SynthConfig } from './config.js';
import { normalizeRows, orthogonalize } from './dictionary.js';
import { normal, streamOf } from './streams.js';

const rowsAtATime = 64;
/** How long making rows keeps the event loop, about. */
const turnMilliseconds = 10;

/**
 * Rows that are sums of known features: x = sum of activation · direction over the active features + bias. Nearly
 * unlimited, none is stored: a row is made from the seed and its number, so the same rows come in blocks of any size
 * and in any order, to the bit on the same JavaScript engine (`Math.log` is not the same to the last bit in all).
 */
export class SynthData {
  readonly #activations: Activations;

  private constructor(
    readonly config: SynthConfig,
    /** The features' directions, of norm 1, [features, in_dims]. */
    readonly directions: Float32Array,
    /** What is added to every row, [in_dims]. */
    readonly bias: Float32Array,
  ) {
    this.#activations = new Activations(config);
  }

  /**
   * @param options.progress is called after every step of orthogonalisation, which takes n · in_dims² operations for n features.
   * @param options.signal ends it, with the signal's reason.
   */
  static async create(
    config: SynthConfig,
    options: { progress?: (step: number) => void; signal?: AbortSignal } = {},
  ): Promise<SynthData> {
    const { features, in_dims, seed } = config;
    const forDirections = streamOf(seed, 'dictionary');
    const directions = new Float32Array(features * in_dims).map(() => normal(forDirections));
    await orthogonalize(directions, in_dims, config.orthogonalize, options);
    const forBias = streamOf(seed, 'bias');
    const bias = new Float32Array(in_dims).map(() => normal(forBias));
    normalizeRows(bias, in_dims);
    return new SynthData(
      config,
      directions,
      bias.map((value) => value * config.bias_norm),
    );
  }

  /** The active features of a row. @returns the same arrays each time. */
  active(row: number): ActiveFeatures {
    return this.#activations.of(row);
  }

  /** Rows from `first` up to, not including, `end`: [end - first, in_dims]. @param found gets each row's active features. */
  rows(first: number, end: number, found?: (features: Int32Array) => void): Float32Array<ArrayBuffer> {
    const { in_dims } = this.config;
    const { directions } = this;
    const rows = new Float32Array((end - first) * in_dims);
    for (let row = first; row < end; row++) {
      const active = this.active(row);
      const out = rows.subarray((row - first) * in_dims, (row - first + 1) * in_dims);
      out.set(this.bias);
      for (let i = 0; i < active.count; i++) {
        const value = active.values[i];
        const direction = active.features[i] * in_dims;
        for (let k = 0; k < in_dims; k++) {
          out[k] += value * directions[direction + k];
        }
      }
      found?.(active.features.slice(0, active.count));
    }
    return rows;
  }

  /** The first `rows` rows, to train on. @throws DataError if it is not a whole number of at least 1. */
  source(rows: number): RowSource {
    if (!(Number.isSafeInteger(rows) && rows >= 1)) {
      throw new DataError(`A source of synthetic rows has a whole number of at least 1, and not ${rows}.`);
    }
    const { in_dims } = this.config;
    return {
      name: 'synthetic rows',
      rows,
      in_dims,
      type: 'f32',
      normalization: noNormalization,
      read: (first, end) => this.#read(first, end),
    };
  }

  /**
   * Rows from `first` on, in memory, each labelled with its active features: their numbers from 1, such as `f3 f17`.
   */
  dataset(first: number, rows: number): Dataset {
    const { in_dims } = this.config;
    const labels: string[] = [];
    const data = this.rows(first, first + rows, (features) =>
      labels.push([...features].map((feature) => `f${feature + 1}`).join(' ')),
    );
    return { name: 'synthetic rows', rows, in_dims, data, labels, normalization: noNormalization };
  }

  /** Makes rows while the event loop goes on, so that the device is not kept waiting. */
  async #read(first: number, end: number): Promise<Float32Array> {
    const { in_dims } = this.config;
    const rows = new Float32Array((end - first) * in_dims);
    let began = performance.now();
    for (let at = first; at < end; at += rowsAtATime) {
      rows.set(this.rows(at, Math.min(end, at + rowsAtATime)), (at - first) * in_dims);
      if (performance.now() - began > turnMilliseconds) {
        await endTurn();
        began = performance.now();
      }
    }
    return rows;
  }
}
