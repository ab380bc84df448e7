import type { ImportedSae } from '../../src/sae/model/formats/index.js';

/** [rows, latents]: the code of each row in float64, by the formulas in the docstring of ImportedActivation. */
export function encode(sae: ImportedSae, x: ArrayLike<number>): Float64Array {
  const { in_dims, latents, activation } = sae;
  const rows = x.length / in_dims;
  const code = new Float64Array(rows * latents);
  for (let row = 0; row < rows; row++) {
    const pre = Array.from({ length: latents }, (_, latent) => {
      let sum = sae.b_enc[latent];
      for (let i = 0; i < in_dims; i++) {
        const input = x[row * in_dims + i] - (sae.pre_bias ? sae.b_dec[i] : 0);
        sum += input * sae.W_enc[latent * in_dims + i];
      }
      return sae.rescaled ? sum * normOf(sae, latent) : sum;
    });
    const kept =
      activation.kind === 'topk'
        ? new Set(
            pre
              .map((_, latent) => latent)
              .sort((a, b) => pre[b] - pre[a])
              .slice(0, activation.k),
          )
        : undefined;
    for (const [latent, value] of pre.entries()) {
      const above =
        activation.kind === 'jumprelu'
          ? activation.threshold[latent]
          : activation.kind === 'batchtopk'
            ? activation.threshold
            : 0;
      if (value > above && (!kept || kept.has(latent))) code[row * latents + latent] = value;
    }
  }
  return code;
}

/** [rows, in_dims]: the reconstruction of each row of a code in float64. */
export function decode(sae: ImportedSae, code: ArrayLike<number>): Float64Array {
  const { in_dims, latents } = sae;
  const rows = code.length / latents;
  const output = new Float64Array(rows * in_dims);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < in_dims; i++) {
      let sum = sae.b_dec[i];
      for (let latent = 0; latent < latents; latent++) {
        const value = code[row * latents + latent] / (sae.rescaled ? normOf(sae, latent) : 1);
        sum += value * sae.W_dec[latent * in_dims + i];
      }
      output[row * in_dims + i] = sum;
    }
  }
  return output;
}

/** The norm of a latent's direction; 1e-8 if it is smaller. */
function normOf({ in_dims, W_dec }: ImportedSae, latent: number): number {
  return Math.max(Math.hypot(...W_dec.subarray(latent * in_dims, (latent + 1) * in_dims)), 1e-8);
}

/** Values that are not 0 a row, on average. */
export function l0(code: ArrayLike<number>, rows: number): number {
  return Array.from(code).filter((value) => value !== 0).length / rows;
}
