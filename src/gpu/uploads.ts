import type { Device } from './device.js';

/** An upload buffer that is filled: its memory, how much of it is used, and where that goes. */
interface Filling {
  readonly buffer: GPUBuffer;
  readonly memory: ArrayBuffer;
  readonly commands: GPUCommandEncoder;
  used: number;
}

/**
 * Copies much to buffers through a few that the host fills again and again. `Device.write` is for little: of what it is given,
 * the driver keeps copies until the device is done, and several times as many as are waited for.
 */
export class Uploads {
  readonly #made: GPUBuffer[] = [];
  #filling: Filling | undefined;
  /** Those that were filled, the oldest first, with when the device has copied what is in them. */
  readonly #sent: { readonly buffer: GPUBuffer; readonly copied: Promise<unknown> }[] = [];

  /** @param bytes of each upload buffer, a multiple of 4. @param most how many there are, once they are needed. */
  constructor(
    readonly gpu: Device,
    readonly bytes: number,
    readonly most: number,
  ) {}

  /**
   * Writes to a buffer, after all work that was submitted before, and at the latest with `send`. Waits for the device while all upload
   * buffers are on their way to it.
   * @param offset in the buffer, and `bytes`, which fit into an upload buffer, are multiples of 4.
   * @param fill puts the bytes into memory that holds something else before, from byte `begin` on.
   * @throws ClosedError if the buffer was freed; the device's first failure.
   */
  async write(
    buffer: GPUBuffer,
    offset: number,
    bytes: number,
    fill: (memory: ArrayBuffer, begin: number) => void,
  ): Promise<void> {
    if (this.#filling && this.#filling.used + bytes > this.bytes) this.send();
    this.#filling ??= await this.#next();
    this.gpu.checkUse(buffer);
    const { memory, used, commands } = this.#filling;
    fill(memory, used);
    commands.copyBufferToBuffer(this.#filling.buffer, used, buffer, offset, bytes);
    this.#filling.used += bytes;
  }

  /** Submits what was written. */
  send(): void {
    if (!this.#filling) return;
    const { buffer, commands } = this.#filling;
    this.#filling = undefined;
    buffer.unmap();
    this.gpu.device.queue.submit([commands.finish()]);
    const copied = buffer.mapAsync(GPUMapMode.WRITE);
    // It is awaited when the buffer is needed again, if ever.
    copied.catch(() => {});
    this.#sent.push({ buffer, copied });
  }

  /** An upload buffer that can be filled. */
  async #next(): Promise<Filling> {
    let buffer: GPUBuffer;
    if (this.#made.length < this.most) {
      buffer = this.gpu.upload('A buffer for what goes to the device', this.bytes);
      this.#made.push(buffer);
    } else {
      const oldest = this.#sent.shift()!;
      await this.gpu.settled(oldest.copied);
      buffer = oldest.buffer;
    }
    const commands = this.gpu.device.createCommandEncoder();
    return { buffer, memory: await this.gpu.mapped(buffer), commands, used: 0 };
  }

  /** Frees the upload buffers. */
  destroy(): void {
    for (const buffer of this.#made) this.gpu.free(buffer);
  }
}
