import type { Random } from '../model/random.js';
import type { SynthConfig } from './config.js';
import { correlation, linear, zipf } from './features.js';
import { Firing, type Group } from './firing.js';
import { compensated, type Descent, descend, type Hierarchy, hierarchy } from './hierarchy.js';
import { normal, streamOf, uniform } from './streams.js';

/** The active features of a row. */
export interface ActiveFeatures {
  /** Their number; what follows in the arrays is left over from other rows. */
  count: number;
  /** [features], each once. */
  readonly features: Int32Array;
  /** Their activations, above 0, [features]. */
  readonly values: Float32Array;
}

/** The activations of known features: which are active in a row, and how much. */
export class Activations {
  readonly trees: Hierarchy;
  /** [features]. */
  readonly means: Float64Array;
  readonly stds: Float64Array;
  readonly #firing: Firing;
  /** The features without a parent. */
  readonly #groups: readonly Group[];
  readonly #active: ActiveFeatures;
  #random: Random;
  readonly #descent: Descent;
  readonly #fired = (feature: number) => {
    const activation = this.#magnitude(feature);
    if (activation > 0) {
      this.#add(feature, activation);
      descend(this.trees, feature, activation, this.#descent);
    }
  };

  constructor(readonly config: SynthConfig) {
    const { features, seed, firing, magnitudes, trees } = config;
    const { rank, scale } = config.correlation;
    this.trees = hierarchy(features, trees);
    this.means = linear(features, magnitudes.first, magnitudes.last);
    const forMagnitudes = streamOf(seed, 'magnitudes');
    this.stds = this.means.map(() =>
      Math.abs(magnitudes.std_mean + magnitudes.std_std * normal(forMagnitudes)),
    );
    const forFactors = streamOf(seed, 'correlation');
    const factors = Float64Array.from({ length: features * rank }, () => scale * normal(forFactors));
    const probabilities = compensated(zipf(features, firing), this.trees);
    this.#firing = new Firing(probabilities, correlation(factors, rank, features));
    const { roots, nodes } = this.trees;
    this.#groups = [...this.#firing.groups(0, roots), ...this.#firing.groups(nodes, features)];
    this.#active = { count: 0, features: new Int32Array(features), values: new Float32Array(features) };
    this.#random = streamOf(seed, 'rows');
    this.#descent = {
      activation: (feature) =>
        this.#firing.fires(feature, this.#random.next() & 255, this.#random) ? this.#magnitude(feature) : 0,
      choose: (firing) => Math.floor(uniform(this.#random) * firing),
      means: this.means,
      found: (feature, activation) => this.#add(feature, activation),
    };
  }

  /** The active features of a row, any row at any time. @returns the same arrays each time. */
  of(row: number): ActiveFeatures {
    const random = streamOf(this.config.seed, 'rows', row);
    this.#random = random;
    this.#active.count = 0;
    this.#firing.share(() => normal(random));
    for (const group of this.#groups) {
      this.#firing.each(group, random, this.#fired);
    }
    return this.#active;
  }

  #magnitude(feature: number): number {
    return Math.max(0, this.means[feature] + this.stds[feature] * normal(this.#random));
  }

  #add(feature: number, activation: number): void {
    const active = this.#active;
    active.features[active.count] = feature;
    active.values[active.count] = activation;
    active.count += 1;
  }
}
