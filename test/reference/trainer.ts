import type { Dataset } from '../../src/sae/dataset.js';
import type { Metrics } from '../../src/sae/metrics.js';
import { isActive } from './activation.js';
import { adamStep, type Moments, zeroMoments } from './adam.js';
import { gradients, type Losses, type ParameterSet, type ReferenceConfig } from './autoencoder.js';
import { gatherRows } from './gather.js';

/** Trains a parameter set in place, in double precision. */
export class ReferenceTrainer {
  readonly #moments: Record<string, Moments> = {};
  #t = 0;

  constructor(
    readonly config: ReferenceConfig & { readonly lr: number },
    readonly parameters: ParameterSet,
  ) {
    for (const [name, { data }] of Object.entries(parameters)) this.#moments[name] = zeroMoments(data.length);
  }

  /** One update on rows x [rows, in_dims]; what it returns is from before the update. */
  step(x: Float64Array): { losses: Losses; hidden: Float64Array } {
    const { losses, hidden, grads } = gradients(this.config, this.parameters, x);
    this.#t++;
    for (const [name, { data }] of Object.entries(this.parameters)) {
      adamStep(data, grads[name], this.#moments[name], this.#t, this.config.lr);
    }
    return { losses, hidden };
  }

  /**
   * One pass over the rows that `order` names, `batch_size` at a time; the last batch may be short. `loss`,
   * `mse` and `kl` are means over batches, `active` is the mean over rows.
   */
  epoch(dataset: Dataset, order: ArrayLike<number>, batch_size: number): Metrics {
    const units = this.config.h_dims[this.config.h_dims.length - 1];
    const seen = new Uint8Array(units);
    const sum = { loss: 0, mse: 0, kl: 0, active: 0 };
    let batches = 0;
    for (let first = 0; first < order.length; first += batch_size) {
      const indices = Array.prototype.slice.call(order, first, first + batch_size) as number[];
      const x = gatherRows(dataset.data, dataset.in_dims, indices, dataset.normalization);
      const { losses, hidden } = this.step(x);
      hidden.forEach((value, i) => {
        if (isActive(this.config.activation, value)) seen[i % units] = 1;
      });
      sum.loss += losses.loss;
      sum.mse += losses.mse;
      sum.kl += losses.kl;
      sum.active += losses.active * indices.length;
      batches++;
    }
    return {
      loss: sum.loss / batches,
      mse: sum.mse / batches,
      kl: sum.kl / batches,
      active: sum.active / order.length,
      dead: seen.filter((unit) => unit === 0).length,
    };
  }
}
