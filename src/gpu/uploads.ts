import type { Device } from './device.js';

/**
 * Copies much to buffers through a few that the host fills again and again. `Device.write` is for little: of what it is given,
 * the driver keeps copies until the device is done, and several times as many as are waited for.
 */
export class Uploads {
  /** Buffers that were filled, the oldest first, with when the device has copied what is in them. */
  readonly #filled: { readonly buffer: GPUBuffer; readonly copied: Promise<unknown> }[] = [];
  readonly #made: GPUBuffer[] = [];

  /** @param bytes of each of them, a multiple of 4. @param most how many there are, once they are needed. */
  constructor(
    readonly gpu: Device,
    readonly bytes: number,
    readonly most: number,
  ) {}

  /**
   * Writes to a buffer, after all work that was submitted before. Waits for the device while all buffers are on their way to it.
   * @param offset in the buffer, and `bytes`, which fit into one of these, are multiples of 4.
   * @param fill puts all the bytes into memory that holds something else before.
   * @throws ClosedError if the buffer was freed; the device's first failure.
   */
  async write(
    buffer: GPUBuffer,
    offset: number,
    bytes: number,
    fill: (memory: ArrayBuffer) => void,
  ): Promise<void> {
    const upload = await this.#next();
    this.gpu.checkUse(buffer);
    fill(upload.getMappedRange(0, bytes));
    upload.unmap();
    const encoder = this.gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(upload, 0, buffer, offset, bytes);
    this.gpu.device.queue.submit([encoder.finish()]);
    const copied = upload.mapAsync(GPUMapMode.WRITE);
    // It is awaited when the buffer is needed again, if ever.
    copied.catch(() => {});
    this.#filled.push({ buffer: upload, copied });
  }

  /** A buffer that is mapped. */
  async #next(): Promise<GPUBuffer> {
    if (this.#made.length < this.most) {
      const buffer = this.gpu.upload('A piece on its way to the device', this.bytes);
      this.#made.push(buffer);
      return buffer;
    }
    const { buffer, copied } = this.#filled.shift()!;
    await this.gpu.settled(copied);
    return buffer;
  }

  /** Frees these buffers. */
  destroy(): void {
    for (const buffer of this.#made) this.gpu.free(buffer);
  }
}
