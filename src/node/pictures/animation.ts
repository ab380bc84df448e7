import { EngineError } from '../../gpu/errors.js';
import { decoderDirections } from '../../sae/insight/evaluation/directions.js';
import type { Model } from '../../sae/model/model.js';
import type { ImageShape } from '../../sae/rows/dataset.js';
import { product } from '../../sae/rows/formats/array.js';
import { writeWhole } from '../write-file.js';
import { loadSharp } from './fonts.js';
import { border, gridOf } from './grid.js';
import { drawLatent } from './latent-tile.js';
import { raster } from './save.js';
import { drawTexts, text } from './texts.js';

// All in pixels.
const side = 480;
const margin = 8;
const letters = 13;
const strip = 26;
const bar = 3;
const barGrey = 0xa0;
/** Milliseconds that a picture is shown, and the last one. */
const [each, last] = [120, 2000];
/** Pictures of an animation, at most. */
export const mostFrames = 1000;

/** By it, an animation of this program is told from another one: the program's name in its metadata, at the file's end. */
const signature = 'webgpu-sae';

/** A picture of an animation, as PNG, of the model as it was after a step. */
export interface Frame {
  readonly step: number;
  readonly png: Uint8Array;
}

/** An animation of the decoder directions of all latents, by their numbers, as a model is trained. Pictures are kept compressed. */
export class Animation {
  readonly #frames: Frame[];

  private constructor(
    readonly file: string,
    readonly image_shape: ImageShape,
    readonly steps: number,
    before: readonly Frame[],
  ) {
    this.#frames = [...before];
  }

  /**
   * @param steps of the whole training. @param before the pictures of the training so far.
   * @throws EngineError if sharp cannot be loaded.
   */
  static async create(
    file: string,
    image_shape: ImageShape,
    steps: number,
    before: readonly Frame[] = [],
  ): Promise<Animation> {
    await loadSharp();
    return new Animation(file, image_shape, steps, before);
  }

  /** The pictures so far. */
  get frames(): readonly Frame[] {
    return this.#frames;
  }

  /** Adds a picture of the model as it is after a step, unless there is one. */
  async add(model: Model, step: number): Promise<void> {
    if (this.#frames.at(-1)?.step === step) return;
    const sharp = await loadSharp();
    const drawings = await decoderDirections(model);
    const { image_shape, steps } = this;
    const size = product(image_shape);
    const { columns, rows, factor } = gridOf(model.hidden, image_shape, side);
    const [stepX, stepY] = [image_shape[1] * factor + border, image_shape[0] * factor + border];
    const width = columns * stepX + border + 2 * margin;
    const image = raster(width, strip + rows * stepY + border + margin, 3);
    for (let latent = 0; latent < model.hidden; latent++) {
      const [x, y] = [margin + (latent % columns) * stepX, strip + Math.floor(latent / columns) * stepY];
      const values = drawings.subarray(latent * size, (latent + 1) * size);
      drawLatent(image, values, false, x, y, { image_shape, factor });
    }
    const done = Math.round(((width - 2 * margin) * step) / steps);
    for (let y = strip - bar - 2; y < strip - 2; y++) {
      image.pixels.fill(barGrey, (y * width + margin) * 3, (y * width + margin + done) * 3);
    }
    const words = `step ${step.toLocaleString('en')} of ${steps.toLocaleString('en')}`;
    await drawTexts(image, 0, strip - bar - 2, [text(words, margin, 16, 'start', letters)]);
    const raw = { width, height: image.height, channels: 3 } as const;
    const png = await sharp(image.pixels, { raw, limitInputPixels: false }).png().toBuffer();
    this.#frames.push({ step, png });
  }

  /** Writes what there is as animated WebP, without loss. @throws EngineError if it cannot be written. */
  async write(): Promise<string> {
    const sharp = await loadSharp();
    const delay = this.#frames.map((_, i) => (i === this.#frames.length - 1 ? last : each));
    const pictures = this.#frames.map(({ png }) => Buffer.from(png));
    const bytes = await sharp(pictures, { join: { animated: true }, limitInputPixels: false })
      .withExif({ IFD0: { Software: signature } })
      .webp({ lossless: true, loop: 0, delay })
      .toBuffer();
    await writeWhole(this.file, [bytes], (why, cause) => {
      return new EngineError(`The animation ${this.file} cannot be written (${why}).`, { cause });
    });
    return this.file;
  }
}

/** Whether this program made the animation that is a file's whole content. */
export function isOurAnimation(content: Uint8Array): boolean {
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength).includes(signature);
}
