import type { Device } from './device.js';
import type { Reading } from './gemm/tiles.js';
import { padded, type Tensor } from './tensor.js';

/** Vec4s of a strip: so many of each row lie beside those of the next row. */
const stripBits: Readonly<Record<Reading, number>> = { 'along rows': 8, 'across rows': 3 };
/** Vec4s by which the length of a line in a buffer must be divisible, so that a part of it can be copied: 256 bytes. */
const copied = 16;
/**
 * Vec4s of a line that are never read: 64 bytes, a line of a processor's cache. Without them, the lines of many matrices begin a
 * multiple of 4096 bytes apart, and displace each other there.
 */
const unused = 4;
/** Bits of an index that is never divided. */
const allBits = 31;

/** What `copyBufferToTexture` takes. */
export type CopyCommand = Parameters<GPUCommandEncoder['copyBufferToTexture']>;

/** Where a vec4 lies: see `gemm/image.wgsl`. */
interface Layout {
  /** 2^lineBits rows lie in a line of texels. */
  readonly lineBits: number;
  /** 2^stripBits vec4s of a row lie in a layer. */
  readonly stripBits: number;
  readonly width: number;
  readonly height: number;
  readonly layers: number;
}

/**
 * A copy of a matrix in a storage texture, a texel for each vec4. Mesa's software adapter reads a buffer lane by lane, each with a check of
 * its own, and a texture for all lanes of a subgroup at once: a kernel that reads a matrix many times is faster with a copy. And what
 * is read together lies together in it: in strips of columns, a layer each, where the rows' length allows to copy parts of them.
 */
export class Image {
  readonly texture: GPUTexture;
  readonly view: GPUTextureView;
  readonly #layout: Layout;

  /** @throws LimitError if such a matrix does not fit into a texture of this adapter. */
  constructor(
    readonly gpu: Device,
    readonly rows: number,
    readonly columns: number,
    readonly reading: Reading,
  ) {
    this.#layout = layout(gpu, [rows, columns], reading);
    const { width, height, layers } = this.#layout;
    this.texture = gpu.texture(`An image of a matrix [${rows}, ${columns}]`, [width, height, layers]);
    this.view = this.texture.createView({ dimension: '2d-array' });
  }

  /** Whether a matrix [rows, columns] fits into a texture of this adapter. */
  static fits(gpu: Device, shape: readonly [rows: number, columns: number], reading: Reading): boolean {
    const { width, height } = layout(gpu, shape, reading);
    return Math.max(width, height) <= gpu.device.limits.maxTextureDimension2D;
  }

  /** The bindings of a kernel that reads it as `name`: see `gemm/image.wgsl`. */
  bindings(name: string): Readonly<Record<string, Image | Uint32Array<ArrayBuffer>>> {
    const { lineBits, stripBits } = this.#layout;
    return { [name]: this, [`${name}_bits`]: new Uint32Array([lineBits, stripBits]) };
  }

  /** The commands that copy a matrix of this shape: made once, encoded in every step. */
  copiesOf({ buffer }: Tensor): readonly CopyCommand[] {
    const { texture } = this;
    const { lineBits, stripBits, layers } = this.#layout;
    const rows = padded(this.rows);
    const blocks = padded(this.columns) / 4;
    const bytesPerRow = (blocks << lineBits) * 16;
    if (bytesPerRow % (copied * 16) !== 0) {
      return Array.from({ length: rows }, (_, row) => [
        { buffer, offset: row * bytesPerRow },
        { texture, origin: [0, row] },
        [blocks, 1],
      ]);
    }
    const height = rows >> lineBits;
    const copies: CopyCommand[] = [];
    for (let layer = 0; layer < layers; layer++) {
      const first = layer << stripBits;
      const width = layers > 1 ? Math.min(blocks - first, 1 << stripBits) : blocks << lineBits;
      const source = { buffer, offset: first * 16, bytesPerRow };
      copies.push([source, { texture, origin: [0, 0, layer] }, [width, height]]);
    }
    const rest = rows - (height << lineBits);
    if (rest > 0) {
      const source = { buffer, offset: height * bytesPerRow };
      copies.push([source, { texture, origin: [0, height] }, [rest * blocks, 1]]);
    }
    return copies;
  }

  /** Frees the texture. */
  destroy(): void {
    this.gpu.free(this.texture);
  }
}

function layout(gpu: Device, [rows, columns]: readonly [number, number], reading: Reading): Layout {
  const { maxTextureDimension2D: side, maxTextureArrayLayers } = gpu.device.limits;
  const blocks = padded(columns) / 4;
  const width = 1 << stripBits[reading];
  const layers = Math.ceil(blocks / width);
  if (blocks % copied === 0 && layers > 1 && layers <= maxTextureArrayLayers && padded(rows) <= side) {
    const line = reading === 'along rows' ? width + unused : width;
    return { lineBits: 0, stripBits: stripBits[reading], width: line, height: padded(rows), layers };
  }
  // As many rows in a line as make it a length that can be copied, and more where there would be too many lines.
  let lineBits = 0;
  while ((blocks * 2 ** lineBits) % copied !== 0 || padded(rows) / 2 ** lineBits > side) {
    lineBits += 1;
  }
  // Or a row in each, if that is too long: they are copied one by one.
  if (blocks * 2 ** lineBits + unused > side && padded(rows) <= side) {
    lineBits = 0;
  }
  const height = Math.ceil(padded(rows) / 2 ** lineBits);
  return { lineBits, stripBits: allBits, width: blocks * 2 ** lineBits + unused, height, layers: 1 };
}
