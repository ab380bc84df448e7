/** What is known of an image before it is decoded. */
export interface DescribedImage {
  readonly size: readonly [height: number, width: number];
  readonly coloured: boolean;
}

/** Decodes images, which is left to what a host has for that. */
export interface ImageDecoder {
  /** [height, width] as it is shown, and whether it has other colours than greys. @throws Error that says why not. */
  describe(bytes: Uint8Array<ArrayBuffer>): Promise<DescribedImage>;
  /** Red, green, blue and alpha of an image that is stretched to [height, width]. @throws Error that says why not. */
  pixels(bytes: Uint8Array<ArrayBuffer>, size: readonly [number, number]): Promise<Uint8Array>;
}

/** The grey values of RGBA pixels: luma (Rec. 601), on white where they are transparent. */
export function writeGreys(rgba: Uint8ClampedArray | Uint8Array, greys: Uint8Array): void {
  for (let i = 0; i < greys.length; i++) {
    const luma = 0.299 * rgba[4 * i] + 0.587 * rgba[4 * i + 1] + 0.114 * rgba[4 * i + 2];
    greys[i] = onWhite(luma, rgba[4 * i + 3]);
  }
}

/** The red, green and blue of RGBA pixels, three values each, on white where they are transparent. */
export function writeColours(rgba: Uint8ClampedArray | Uint8Array, colours: Uint8Array): void {
  for (let i = 0; i < colours.length; i++) {
    const at = 4 * Math.floor(i / 3);
    colours[i] = onWhite(rgba[at + (i % 3)], rgba[at + 3]);
  }
}

function onWhite(value: number, alpha: number): number {
  return Math.round(255 + (value - 255) * (alpha / 255));
}
