/** Rows as they are stored: 8-bit values as bytes, all others as f32. Row-major, not normalised. */
export type StoredRows = Uint8Array | Float32Array;

/** What stored values are multiplied by before they are normalised: 8-bit values are then from 0 to 1. */
export function unitOf(values: StoredRows): number {
  return values instanceof Uint8Array ? 1 / 255 : 1;
}
