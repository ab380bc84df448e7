import type { TuningStore } from '../../sae/index.js';

/** Keeps what is known of adapters in the browser's storage, under a name. Without storage it is found out again. */
function storedAs(name: string): TuningStore {
  return {
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
}

/** The tiles that were found fastest. */
export const tuningStore = storedAs('webgpu-sae tuning');

/** The checks that were passed. */
export const checksStore = storedAs('webgpu-sae checks');
