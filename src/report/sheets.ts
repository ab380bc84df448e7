import { fromBase64, type Pictures, sheetsBlock } from '../sae/insight/report/layout.js';

/** Pixels of decoded sheets that are kept, four bytes each. */
const kept = 12e6;

/** How grey tiles are coloured: from `below` through white to `above` where 128 is zero. */
export const diverging = { below: [29, 95, 168], zero: [255, 255, 255], above: [194, 74, 0] } as const;

/** Draws tiles out of the sheets of pictures. A sheet is decoded when one of its tiles is drawn; those drawn last are kept. */
export class Sheets {
  readonly #decoded = new Map<number, Promise<ImageData>>();
  #base64: string | undefined;
  #pixels = 0;

  /**
   * A picture of a tile, which appears as soon as its sheet is decoded.
   * @param signed whether it is of a direction, where 128 is zero.
   * @param name what it shows, in words; empty where words beside it say so.
   */
  picture(pictures: Pictures, tile: number, signed: boolean, name: string): HTMLCanvasElement {
    const canvas = document.createElement('canvas');
    canvas.width = pictures.width;
    canvas.height = pictures.height;
    canvas.className = 'picture';
    if (name) {
      canvas.role = 'img';
      canvas.ariaLabel = name;
    } else {
      canvas.ariaHidden = 'true';
    }
    this.#draw(canvas, pictures, tile, signed).catch(() => canvas.classList.add('broken'));
    return canvas;
  }

  async #draw(canvas: HTMLCanvasElement, pictures: Pictures, tile: number, signed: boolean): Promise<void> {
    const { width, height, columns, tiles } = pictures;
    const sheet = await this.#sheet(pictures, Math.floor(tile / tiles), signed);
    const x = ((tile % tiles) % columns) * width;
    const y = Math.floor((tile % tiles) / columns) * height;
    canvas.getContext('2d')!.putImageData(sheet, -x, -y, x, y, width, height);
  }

  #sheet(pictures: Pictures, index: number, signed: boolean): Promise<ImageData> {
    const { offset, bytes } = pictures.sheets[index];
    let sheet = this.#decoded.get(offset);
    this.#decoded.delete(offset);
    if (!sheet) {
      this.#base64 ??= document.getElementById(sheetsBlock)!.textContent;
      sheet = decode(this.#base64, offset, bytes, pictures.type, signed && pictures.channels === 1);
      this.#pixels += pixelsOf(pictures);
    }
    // The last of the map is what was drawn last, the first what may go.
    this.#decoded.set(offset, sheet);
    for (const first of this.#decoded.keys()) {
      if (this.#pixels <= kept) break;
      this.#decoded.delete(first);
      this.#pixels -= pixelsOf(pictures);
    }
    return sheet;
  }
}

/** Of a sheet that is full. */
const pixelsOf = ({ width, height, tiles }: Pictures) => width * height * tiles;

async function decode(
  base64: string,
  offset: number,
  bytes: number,
  type: string,
  coloured: boolean,
): Promise<ImageData> {
  // Sheets begin at multiples of 3 bytes, which are 4 characters.
  const from = (offset / 3) * 4;
  const file = fromBase64(base64.slice(from, from + Math.ceil(bytes / 3) * 4)).subarray(0, bytes);
  const bitmap = await createImageBitmap(new Blob([file], { type }), { colorSpaceConversion: 'none' });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  if (coloured) colour(image.data);
  return image;
}

/** Greys as the colours of what they stand for. */
function colour(pixels: Uint8ClampedArray): void {
  for (let i = 0; i < pixels.length; i += 4) {
    const value = Math.max(-1, (pixels[i] - 128) / 127);
    const end = value < 0 ? diverging.below : diverging.above;
    for (let channel = 0; channel < 3; channel++) {
      const zero = diverging.zero[channel];
      pixels[i + channel] = zero + Math.abs(value) * (end[channel] - zero);
    }
  }
}
