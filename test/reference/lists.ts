import { divisorOf, type MadeCode, type PenaltyOf, type SparsityConfig } from './penalty.js';

// What kinds that select latents add to the loss: AuxK, as several libraries have it, and the reconstructions by the
// first latents alone (Matryoshka). Of models with one hidden layer.

/** What `listPenalty` adds up. */
interface Sums {
  readonly code: Float64Array;
  readonly pre: Float64Array;
  readonly decoder: Float64Array;
  readonly bias: Float64Array;
}

/** The widths of a model of so many latents: those that are given, or an eighth, a quarter and half, and all. */
export function nestedWidths({ matryoshka }: SparsityConfig, latents: number): number[] {
  const given = matryoshka ?? [8, 4, 2].map((part) => Math.floor(latents / part));
  return [...new Set([...given, latents])].filter((width) => width > 0).sort((a, b) => a - b);
}

export const listPenalty: PenaltyOf = (config, code, rows, decoder, made) => {
  const { in_dims } = made!;
  const latents = code.length / rows;
  const sums: Sums = {
    code: new Float64Array(code.length),
    pre: new Float64Array(code.length),
    decoder: new Float64Array(decoder.length),
    bias: new Float64Array(in_dims),
  };
  const auxk = config.revive === 'auxk' ? addAuxK(config, rows, decoder, made!, sums) : 0;
  const widths = config.sparsity === 'matryoshka' ? nestedWidths(config, latents).slice(0, -1) : [];
  const inner = widths.reduce((sum, w) => sum + addInner(config, code, rows, decoder, made!, w, sums), 0);
  return {
    value: (config.auxk_alpha ?? 1 / 32) * auxk + inner,
    terms: { auxk, ...(config.sparsity === 'matryoshka' && { inner }) },
    ...sums,
  };
};

/** Values [rows, latents] through the decoder's weight [in_dims, latents], without a bias: [rows, in_dims]. */
function through(values: Float64Array, rows: number, decoder: Float64Array, in_dims: number): Float64Array {
  const latents = values.length / rows;
  return Float64Array.from({ length: rows * in_dims }, (_, i) => {
    const [row, o] = [Math.floor(i / in_dims), i % in_dims];
    let sum = 0;
    for (let j = 0; j < latents; j++) sum += values[row * latents + j] * decoder[o * latents + j];
    return sum;
  });
}

/** Adds the gradients by values [rows, latents] that are not 0, and by the decoder, of a gradient by their product. */
function addBackward(
  gradient: Float64Array,
  values: Float64Array,
  rows: number,
  decoder: Float64Array,
  toValues: Float64Array,
  toDecoder: Float64Array,
): void {
  const latents = values.length / rows;
  const in_dims = gradient.length / rows;
  values.forEach((value, i) => {
    if (value === 0) return;
    const [row, j] = [Math.floor(i / latents), i % latents];
    for (let o = 0; o < in_dims; o++) {
      toValues[i] += gradient[row * in_dims + o] * decoder[o * latents + j];
      toDecoder[o * latents + j] += gradient[row * in_dims + o] * value;
    }
  });
}

function addAuxK(
  { k = 1, auxk_alpha = 1 / 32, auxk_k, auxk_loss = 'dictionary_learning', reconstruction }: SparsityConfig,
  rows: number,
  decoder: Float64Array,
  { pre, signed, norms, dead, x, output, bias, in_dims }: MadeCode,
  sums: Sums,
): number {
  if (!dead.some(Boolean)) return 0;
  const latents = pre.length / rows;
  const most = auxk_k ?? Math.max(1, Math.min(Math.ceil(4 * k), Math.floor(in_dims / 2)));
  const chosen = new Float64Array(pre.length);
  for (let row = 0; row < rows; row++) {
    const own = Array.from({ length: latents }, (_, j) => row * latents + j);
    const values = auxk_loss === 'saelens' ? signed : pre;
    const counts = (i: number) => dead[i % latents] && (auxk_loss === 'saelens' || pre[i] > 0);
    const key = (i: number) => values[i] * norms[i % latents];
    const best = own.filter(counts).sort((a, b) => key(b) - key(a) || a - b);
    for (const i of best.slice(0, most)) chosen[i] = values[i];
  }
  const residual = x.map((value, i) => value - output[i]);
  const means = Float64Array.from({ length: in_dims }, (_, o) =>
    residual.reduce((sum, value, i) => sum + (i % in_dims === o ? value / rows : 0), 0),
  );
  const relative = auxk_loss === 'dictionary_learning' || auxk_loss === 'openai';
  const share = Math.min(dead.filter(Boolean).length / most, 1);
  const distances = relative
    ? residual.reduce((sum, value, i) => sum + (value - means[i % in_dims]) ** 2, 0)
    : (rows * divisorOf(reconstruction, x, in_dims)) / share;
  if (distances <= 0) return 0;
  const errors = through(chosen, rows, decoder, in_dims).map((value, i) => {
    return value + (auxk_loss === 'sparsify' ? bias[i % in_dims] : 0) - residual[i];
  });
  const gradient = errors.map((value) => (2 * auxk_alpha * value) / distances);
  // sparsify's encoder gets nothing of it.
  const toValues = auxk_loss === 'sparsify' ? new Float64Array(pre.length) : sums.pre;
  addBackward(gradient, chosen, rows, decoder, toValues, sums.decoder);
  if (auxk_loss === 'sparsify' || auxk_loss === 'openai') {
    gradient.forEach((value, i) => {
      sums.bias[i % in_dims] += value;
    });
  }
  return errors.reduce((sum, value) => sum + value ** 2, 0) / distances;
}

function addInner(
  { reconstruction }: SparsityConfig,
  code: Float64Array,
  rows: number,
  decoder: Float64Array,
  { x, bias, in_dims }: MadeCode,
  width: number,
  sums: Sums,
): number {
  const latents = code.length / rows;
  const first = code.map((value, i) => (i % latents < width ? value : 0));
  const divisor = rows * divisorOf(reconstruction, x, in_dims);
  const errors = through(first, rows, decoder, in_dims).map((value, i) => value + bias[i % in_dims] - x[i]);
  const gradient = errors.map((value) => (2 * value) / divisor);
  addBackward(gradient, first, rows, decoder, sums.code, sums.decoder);
  gradient.forEach((value, i) => {
    sums.bias[i % in_dims] += value;
  });
  return errors.reduce((sum, value) => sum + value ** 2, 0) / divisor;
}
