import type { Dataset } from '../../src/sae/rows/dataset.js';
import type { Metrics } from '../../src/sae/training/metrics.js';
import { isActive } from './activation.js';
import { adamStep, type Moments, zeroMoments } from './adam.js';
import {
  forward,
  gradients,
  type Losses,
  latentNorms,
  type ParameterSet,
  type ReferenceConfig,
  type ReferenceTensor,
  thresholdOf,
  tie,
} from './autoencoder.js';
import { columnMeans } from './column-means.js';
import { gatherRows } from './gather.js';

export interface ReferenceTraining extends ReferenceConfig {
  readonly lr: number;
  readonly adam_betas?: readonly [number, number];
  readonly adam_eps?: number;
  readonly clip_norm?: number | undefined;
  readonly decoder_norm?: 'none' | 'unit';
  readonly dead_after?: number | undefined;
}

/** Trains a parameter set in place, in double precision. */
export class ReferenceTrainer {
  readonly #moments: Record<string, Moments> = {};
  #t = 0;
  /** Rows since each latent was active. */
  readonly #silent: number[] = [];
  /** The weight of the batches so far in the running threshold. */
  #weight = 0;

  constructor(
    readonly config: ReferenceTraining,
    readonly parameters: ParameterSet,
  ) {
    for (const [name, { data }] of Object.entries(parameters)) this.#moments[name] = zeroMoments(data.length);
  }

  /** One update on rows x [rows, in_dims]; what it returns is from before the update. */
  step(x: Float64Array): { losses: Losses; hidden: Float64Array } {
    const { h_dims, in_dims, dead_after = 100_000, sparsity, auxk_loss = '' } = this.config;
    const latents = h_dims[h_dims.length - 1];
    // For JumpReLU's penalty before the batch is counted, as in SAELens; for AuxK after it, but for SAELens's and sparsify's.
    const before = Array.from({ length: latents }, (_, j) => (this.#silent[j] ?? 0) > dead_after);
    const code = forward(this.config, this.parameters, x).hidden;
    for (let j = 0; j < latents; j++) {
      const least = auxk_loss === 'openai' ? 1e-3 : 0;
      const fired = code.some((value, i) => i % latents === j && value > least);
      this.#silent[j] = fired ? 0 : (this.#silent[j] ?? 0) + x.length / in_dims;
    }
    const uncounted = sparsity === 'jumprelu' || ['saelens', 'sparsify'].includes(auxk_loss);
    const dead = uncounted ? before : this.#silent.map((rows) => rows >= dead_after);
    const { losses, hidden, grads } = gradients(this.config, this.parameters, x, dead);
    const followed = this.#follow(hidden);
    this.#t++;
    const { lr, adam_betas: betas = [0.9, 0.999], adam_eps: eps = 1e-8, clip_norm = Infinity } = this.config;
    // PyTorch's clip_grad_norm_.
    if (this.config.decoder_norm === 'unit')
      project(grads['decoder.0.weight'], this.parameters['decoder.0.weight']);
    const norm = Math.hypot(...Object.values(grads).map((gradient) => Math.hypot(...gradient)));
    const scale = Math.min(1, clip_norm / (norm + 1e-6));
    for (const [name, whole] of Object.entries(grads)) {
      const { data } = this.parameters[name];
      const gradient = whole.map((value) => value * scale);
      adamStep(data, gradient, this.#moments[name], this.#t, lr, { betas, eps });
    }
    if (this.config.decoder_norm === 'unit') normalize(this.parameters['decoder.0.weight']);
    if (this.config.tied) tie(this.parameters);
    return { losses: { ...losses, terms: { ...losses.terms, ...followed } }, hidden };
  }

  /** Batch top-k's threshold: a mean of the smallest latent that stays of each batch, the last with a share of 0.01, unbiased. */
  #follow(hidden: Float64Array): { threshold?: number } {
    if (!['batchtopk', 'matryoshka'].includes(this.config.sparsity ?? 'kl')) return {};
    const threshold = this.parameters[thresholdOf(this.config)].data;
    const norms = latentNorms(this.config, this.parameters['decoder.0.weight']);
    const scaled = hidden.map((value, i) => value * norms[i % norms.length]);
    const smallest = scaled.reduce((least, value) => (value > 0 ? Math.min(least, value) : least), Infinity);
    if (smallest < Infinity && !this.config.trained) {
      const before = this.#weight === 0 && threshold[0] > 0 ? 1 : this.#weight;
      this.#weight = before + 0.01 * (1 - before);
      threshold[0] += (0.01 / this.#weight) * (smallest - threshold[0]);
    }
    return { threshold: threshold[0] };
  }

  /**
   * One pass over the rows that `order` names, `batch_size` at a time; the last batch may be short. `loss`,
   * `mse` and the terms are means over batches, `active` is the mean over rows.
   */
  epoch(dataset: Dataset, order: ArrayLike<number>, batch_size: number): Metrics {
    const latents = this.config.h_dims[this.config.h_dims.length - 1];
    const seen = new Uint32Array(latents);
    const sum = { loss: 0, mse: 0, error: 0, active: 0 };
    const terms: Record<string, number> = {};
    let batches = 0;
    for (let first = 0; first < order.length; first += batch_size) {
      const indices = Array.prototype.slice.call(order, first, first + batch_size) as number[];
      const x = gatherRows(dataset.data, dataset.in_dims, indices, dataset.normalization);
      const { losses, hidden } = this.step(x);
      hidden.forEach((value, i) => {
        if (isActive(this.config.activation, value)) seen[i % latents]++;
      });
      sum.loss += losses.loss;
      sum.mse += losses.mse;
      sum.error += losses.mse * indices.length;
      for (const [name, value] of Object.entries(losses.terms)) terms[name] = (terms[name] ?? 0) + value;
      sum.active += losses.active * indices.length;
      batches++;
    }
    const figures = {
      loss: sum.loss / batches,
      mse: sum.mse / batches,
      explained_variance: 1 - sum.error / order.length / varianceOf(dataset),
      ...Object.fromEntries(Object.entries(terms).map(([name, value]) => [name, value / batches])),
      active: sum.active / order.length,
      dead: seen.filter((active) => active === 0).length,
      dense: seen.filter((active) => active / order.length > 0.1).length,
    };
    return figures as Metrics;
  }
}

/** Mean over rows and values of the squared distance from each value's mean, in two passes over all rows. */
export function varianceOf({ rows, in_dims, data, normalization }: Dataset): number {
  const x = gatherRows(data, in_dims, [...Array(rows).keys()], normalization);
  const means = columnMeans(x, rows, in_dims);
  return x.reduce((sum, value, i) => sum + (value - means[i % in_dims]) ** 2, 0) / x.length;
}

/** Takes away from a gradient [outputs, latents] what lies along each latent's weights. */
function project(gradient: Float64Array, { shape: [outputs, latents], data }: ReferenceTensor): void {
  for (let latent = 0; latent < latents; latent++) {
    let along = 0;
    let squares = 0;
    for (let i = latent; i < outputs * latents; i += latents) {
      along += gradient[i] * data[i];
      squares += data[i] ** 2;
    }
    for (let i = latent; i < outputs * latents; i += latents) {
      gradient[i] -= squares > 0 ? (along / squares) * data[i] : 0;
    }
  }
}

/** Scales each latent's weights [outputs, latents] to norm 1; those of norm 0 stay. */
function normalize({ shape: [, latents], data }: ReferenceTensor): void {
  for (let latent = 0; latent < latents; latent++) {
    let squares = 0;
    for (let i = latent; i < data.length; i += latents) squares += data[i] ** 2;
    for (let i = latent; i < data.length; i += latents) data[i] /= Math.sqrt(squares) || 1;
  }
}
