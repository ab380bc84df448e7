import type { TuningStore } from '../../sae/index.js';

const name = 'webgpu-sae tuning';

/** Keeps the tiles that were found fastest in the browser's storage. Without storage they are timed again. */
export const tuningStore: TuningStore = {
  async read() {
    try {
      return localStorage.getItem(name) ?? undefined;
    } catch {
      return undefined;
    }
  },
  async write(text) {
    try {
      localStorage.setItem(name, text);
    } catch {
      // See above.
    }
  },
};
