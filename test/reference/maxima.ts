/** `struct Maxima` of `sparse/maxima.wgsl`. */
export type MaximaLayout = readonly [
  codeVectors: number,
  stride: number,
  spanVectors: number,
  spanShift: number,
];

/** The bits of the maximum of every four neighbours of each row of a code [rows, latents], where `sparse/maxima.wgsl` says; the others are 0. */
export function maximaOfCode(
  code: Float32Array,
  rows: number,
  [, stride, spanVectors]: MaximaLayout,
): Uint32Array<ArrayBuffer> {
  const latents = code.length / rows;
  const maxima = new Float32Array(Math.ceil(rows / 4) * 4 * stride * 4);
  code.forEach((value, i) => {
    const at = (Math.floor(i / latents) * stride + spanVectors) * 4 + Math.floor((i % latents) / 4);
    maxima[at] = Math.max(maxima[at], value);
  });
  return new Uint32Array(maxima.buffer);
}
