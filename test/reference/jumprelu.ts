import type { MadeCode, PenaltyOf } from './penalty.js';

// JumpReLU (Rajamanoharan et al., 2024), its straight-through gradients, and the penalties of SAELens and
// dictionary_learning: thresholds below 0 act as 0, and have no gradient then.

const tanhScale = 4;

/** Pre-activations [rows, latents] that are above their thresholds; the others are 0. */
export function jumprelu(pre: Float64Array, thresholds: Float64Array): Float64Array {
  return pre.map((value, i) => (value > limitOf(thresholds, i) ? value : 0));
}

/** The gradients by pre-activations [rows, latents] and thresholds [latents] of a gradient by the code [rows, latents]. */
export function jumpreluBackward(
  gradient: Float64Array,
  { pre, thresholds }: Pick<MadeCode, 'pre' | 'thresholds'>,
  bandwidth: number,
): { readonly pre: Float64Array; readonly threshold: Float64Array } {
  const threshold = new Float64Array(thresholds.length);
  pre.forEach((value, i) => {
    const j = i % thresholds.length;
    if (thresholds[j] > 0 && isNear(value, thresholds[j], bandwidth)) {
      threshold[j] -= (thresholds[j] / bandwidth) * gradient[i];
    }
  });
  return { pre: gradient.map((value, i) => (pre[i] > limitOf(thresholds, i) ? value : 0)), threshold };
}

export const jumpreluPenalty: PenaltyOf = (config, code, rows, decoder, made) => {
  const {
    sparsity_lambda = 0,
    pre_act_lambda = 0,
    l0_loss = 'linear',
    l0_target = 1,
    bandwidth = 1,
  } = config;
  const { pre, thresholds, dead } = made!;
  const latents = thresholds.length;
  const norms = Float64Array.from({ length: latents }, (_, j) =>
    Math.hypot(...decoder.filter((_w, i) => i % latents === j)),
  );
  const l0 = code.reduce((sum, value) => sum + Number(value > 0), 0) / rows;
  const squash = (i: number) => Math.tanh(tanhScale * code[i] * norms[i % latents]);
  const slope = (i: number) => tanhScale * (1 - squash(i) ** 2);
  const isTanh = l0_loss === 'tanh';
  const losses = {
    linear: l0,
    quadratic: (l0 / l0_target - 1) ** 2,
    tanh: code.reduce((sum, _, i) => sum + squash(i) / rows, 0),
  };
  const byL0 = { linear: 1, quadratic: (2 * (l0 / l0_target - 1)) / l0_target, tanh: 0 }[l0_loss];
  const below = (i: number) => (dead[i % latents] ? Math.max(limitOf(thresholds, i) - pre[i], 0) : 0);
  const weights = { l0: sparsity_lambda / rows, pre: pre_act_lambda / rows };

  const threshold = new Float64Array(latents);
  const byNorm = new Float64Array(latents);
  const toPre = new Float64Array(pre.length);
  let pre_act = 0;
  pre.forEach((value, i) => {
    const j = i % latents;
    pre_act += (below(i) * norms[j]) / rows;
    byNorm[j] += weights.pre * below(i) + (isTanh ? weights.l0 * code[i] * slope(i) : 0);
    if (below(i) > 0) toPre[i] = -weights.pre * norms[j];
    if (thresholds[j] <= 0) return;
    if (isNear(value, thresholds[j], bandwidth)) threshold[j] -= (weights.l0 * byL0) / bandwidth;
    if (below(i) > 0) threshold[j] += weights.pre * norms[j];
  });
  return {
    value: sparsity_lambda * losses[l0_loss] + pre_act_lambda * pre_act,
    terms: {
      l0_loss: losses[l0_loss],
      pre_act,
      threshold: thresholds.reduce((sum, value) => sum + Math.max(value, 0), 0) / latents,
    },
    code: code.map((_, i) => (isTanh ? weights.l0 * norms[i % latents] * slope(i) : 0)),
    decoder: decoder.map((weight, i) => {
      const j = i % latents;
      return norms[j] > 0 ? (byNorm[j] * weight) / norms[j] : 0;
    }),
    pre: toPre,
    threshold,
  };
};

function limitOf(thresholds: Float64Array, i: number): number {
  return Math.max(thresholds[i % thresholds.length], 0);
}

function isNear(value: number, threshold: number, bandwidth: number): boolean {
  return Math.abs(value - threshold) < bandwidth / 2;
}
