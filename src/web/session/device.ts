import { Gpu } from '../../sae/index.js';
import { loadShader } from '../browser/shaders.js';
import { tuningStore } from '../browser/stores.js';

/** The page's device, opened when it is first needed and again if it was lost. */
export class PageDevice {
  #gpu: Promise<Gpu> | undefined;

  /** @param lost is called when a device is lost. */
  constructor(private readonly lost: (gpu: Gpu) => void) {}

  /** The device, opened if there is none or it was lost. @throws NoAdapterError. */
  open(): Promise<Gpu> {
    this.#gpu ??= Gpu.open(navigator.gpu, loadShader, { store: tuningStore }).then((gpu) => {
      void gpu.lost.then(() => {
        this.#gpu = undefined;
        this.lost(gpu);
      });
      return gpu;
    });
    this.#gpu.catch(() => {
      this.#gpu = undefined;
    });
    return this.#gpu;
  }

  /**
   * A device without a failure: after an invalid command or a lack of memory, a device is unusable and is opened again.
   */
  async sound(): Promise<Gpu> {
    const gpu = await this.open();
    try {
      gpu.check();
      return gpu;
    } catch {
      gpu.close();
      await gpu.lost;
      return this.open();
    }
  }
}

/** Whether the device is lost. Its own notice may come a moment after the failure that it caused. */
export async function isLost({ lost }: Gpu): Promise<boolean> {
  const later = new Promise<false>((resolve) => setTimeout(resolve, 100, false));
  return Promise.race([lost.then(() => true), later]);
}
