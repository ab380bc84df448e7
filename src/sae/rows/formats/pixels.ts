/** Decodes images, which is left to what a host has for that. */
export interface ImageDecoder {
  /** [height, width] as it is shown. @throws Error that says why not. */
  size(bytes: Uint8Array<ArrayBuffer>): Promise<readonly [number, number]>;
  /** Red, green, blue and alpha of an image that is stretched to [height, width]. @throws Error that says why not. */
  pixels(bytes: Uint8Array<ArrayBuffer>, size: readonly [number, number]): Promise<Uint8Array>;
}

/** The grey values of RGBA pixels: luma (Rec. 601), on white where they are transparent. */
export function writeGreys(rgba: Uint8ClampedArray | Uint8Array, greys: Uint8Array): void {
  for (let i = 0; i < greys.length; i++) {
    const luma = 0.299 * rgba[4 * i] + 0.587 * rgba[4 * i + 1] + 0.114 * rgba[4 * i + 2];
    greys[i] = Math.round(255 + (luma - 255) * (rgba[4 * i + 3] / 255));
  }
}
