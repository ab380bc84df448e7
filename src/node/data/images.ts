import { EngineError } from '../../gpu/errors.js';
import type { ImageDecoder } from '../../sae/rows/formats/pixels.js';

/**
 * Images by sharp: of the first frame, turned as their metadata say, in sRGB. It draws no text, so it may be loaded before
 * `loadSharp` sets fonts.
 */
export const imageDecoder: ImageDecoder = {
  async describe(bytes) {
    const sharp = await load();
    const { autoOrient, space, channels } = await sharp(bytes).metadata();
    // Grey images that have a palette are said to have three channels, too.
    const coloured = channels >= 3 && !space.startsWith('b-w') && space !== 'grey16';
    return { size: [autoOrient.height, autoOrient.width], coloured };
  },
  async pixels(bytes, [height, width]) {
    const sharp = await load();
    return sharp(bytes, { failOn: 'error' })
      .autoOrient()
      .resize(width, height, { fit: 'fill' })
      .toColourspace('srgb')
      .ensureAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer();
  },
};

/** It is loaded where an image is read only. */
async function load() {
  try {
    return (await import('sharp')).default;
  } catch (error) {
    throw new EngineError(
      'sharp, which reads images, could not be loaded. Install it with `npm install --include=optional sharp`.',
      { cause: error },
    );
  }
}
