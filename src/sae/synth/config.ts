import type { TreeShape } from './hierarchy.js';

/** How synthetic rows are made: sums of known features. */
export interface SynthConfig {
  readonly features: number;
  /** Values of a row. */
  readonly in_dims: number;
  readonly seed: number;
  /** Steps of Adam that turn the features' directions away from each other. */
  readonly orthogonalize: { readonly steps: number; readonly lr: number };
  /** Zipf's law for the firing probabilities. */
  readonly firing: { readonly exponent: number; readonly max: number; readonly min: number };
  /** Factors normal with this standard deviation; with rank 0, features fire independently. */
  readonly correlation: { readonly rank: number; readonly scale: number };
  /**
   * Means from the first feature's to the last one's. Each feature's standard deviation is the absolute value of a
   * normal number with the mean and standard deviation given here.
   */
  readonly magnitudes: {
    readonly first: number;
    readonly last: number;
    readonly std_mean: number;
    readonly std_std: number;
  };
  /**
   * Trees, in which siblings exclude each other, probabilities are compensated for that, and an activation is
   * multiplied by its parent's, divided by the parent's mean.
   */
  readonly trees: TreeShape;
  /** Norm of the vector that is added to every row. */
  readonly bias_norm: number;
}

/** Synthetic data with what is trained on it by default. */
export interface SynthPreset {
  readonly data: Omit<SynthConfig, 'seed'>;
  readonly h_dims: readonly [latents: number];
  readonly steps: number;
  /** Of training, where nothing else is said. */
  readonly training: {
    readonly batch_size: number;
    readonly lr: number;
    readonly sparsity: 'l1';
    readonly sparsity_lambda: number;
  };
  /** Rows on which scores are measured. */
  readonly evaluation_rows: number;
}

const magnitudes = { first: 5, last: 4, std_mean: 0.5, std_std: 0.5 };

/**
 * `16k` is SynthSAEBench-16k (arXiv:2602.14687), as the library SAELens defines it, and its protocol of training and
 * measuring: 200 million rows. The others have the same parts in less.
 */
export const synthPresets = {
  tiny: {
    data: {
      features: 32,
      in_dims: 16,
      orthogonalize: { steps: 100, lr: 0.01 },
      firing: { exponent: 0.5, max: 0.2, min: 0.02 },
      correlation: { rank: 2, scale: 0.2 },
      magnitudes,
      trees: { roots: 3, branching: 2, depth: 1 },
      bias_norm: 0.5,
    },
    h_dims: [32],
    steps: 1500,
    training: { batch_size: 64, lr: 3e-3, sparsity: 'l1', sparsity_lambda: 1.6 },
    evaluation_rows: 5000,
  },
  small: {
    data: {
      features: 1024,
      in_dims: 128,
      orthogonalize: { steps: 100, lr: 1e-3 },
      firing: { exponent: 0.5, max: 0.4, min: 2e-3 },
      correlation: { rank: 10, scale: 0.1 },
      magnitudes,
      trees: { roots: 16, branching: 4, depth: 2 },
      bias_norm: 0.5,
    },
    h_dims: [512],
    steps: 4000,
    training: { batch_size: 256, lr: 1e-3, sparsity: 'l1', sparsity_lambda: 1.3 },
    evaluation_rows: 20_000,
  },
  '16k': {
    data: {
      features: 16_384,
      in_dims: 768,
      orthogonalize: { steps: 100, lr: 3e-4 },
      firing: { exponent: 0.5, max: 0.4, min: 5e-4 },
      correlation: { rank: 25, scale: 0.1 },
      magnitudes,
      trees: { roots: 128, branching: 4, depth: 3 },
      bias_norm: 0.5,
    },
    h_dims: [4096],
    steps: 195_313,
    training: { batch_size: 1024, lr: 3e-4, sparsity: 'l1', sparsity_lambda: 1.5 },
    evaluation_rows: 500_000,
  },
} as const satisfies Record<string, SynthPreset>;

export type SynthPresetName = keyof typeof synthPresets;
export const synthPresetNames = Object.keys(synthPresets) as readonly SynthPresetName[];
