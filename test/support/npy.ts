import { npy } from '../../src/sae/rows/formats/npy.js';

/** The shape and the values of a .npy file of f32. */
export function decodeNpy(content: Uint8Array): { shape: readonly number[]; values: Float32Array } {
  const { headerBytes, shape } = npy.parseHeader(content, 'a .npy file')!;
  return { shape, values: new Float32Array(Uint8Array.from(content.subarray(headerBytes)).buffer) };
}
