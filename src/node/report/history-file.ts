import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError } from '../../gpu/errors.js';
import type { DensityHistory } from '../../sae/insight/density-history.js';
import { readSafetensors, safetensorsParts } from '../../sae/model/safetensors.js';
import { readFrom } from '../read-from.js';
import { writeWhole } from '../write-file.js';

type History = NonNullable<DensityHistory['history']>;

/** Beside the model. */
export const historyName = 'densities.safetensors';
const program = 'webgpu-sae densities';

/** Writes latents' densities by epoch: the tensors `epochs` [n] and `densities` [n, hidden]. @throws EngineError if it cannot be written. */
export async function writeHistory(file: string, { epochs, densities }: History): Promise<void> {
  const tensors = new Map([
    ['epochs', { shape: [epochs.length], data: Float32Array.from(epochs) }],
    ['densities', { shape: [epochs.length, densities.length / epochs.length], data: densities }],
  ]);
  const metadata = new Map([['program', program]]);
  await writeWhole(file, safetensorsParts({ tensors, metadata }), (why, cause) => {
    return new EngineError(`${file} cannot be written: ${why}.`, { cause });
  });
}

/** The densities that lie beside a saved model. Undefined if there are none, or they are of another model. */
export async function readHistory(model: string, hidden: number): Promise<History | undefined> {
  const file = join(dirname(model), historyName);
  try {
    const handle = await open(file);
    try {
      const { size } = await handle.stat();
      const source = {
        length: size,
        read: (at: number, into: Uint8Array<ArrayBuffer>) => readFrom(handle, at, into),
      };
      const { tensors, metadata } = await readSafetensors(source, file);
      const [epochs, densities] = [tensors.get('epochs'), tensors.get('densities')];
      const ours = metadata.get('program') === program && densities?.shape[1] === hidden;
      return ours && epochs && epochs.data.length === densities.shape[0]
        ? { epochs: [...epochs.data], densities: densities.data as Float32Array<ArrayBuffer> }
        : undefined;
    } finally {
      await handle.close();
    }
  } catch {
    // A report has no need of it, and what is damaged there does no harm to the model.
    return undefined;
  }
}

/** Whether this program wrote a densities.safetensors that begins so. */
export function isOurHistory(content: Uint8Array): boolean {
  return new TextDecoder().decode(content.subarray(0, 4096)).includes(program);
}
