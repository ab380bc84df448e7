import { dirname, join } from 'node:path';
import { EngineError } from '../../gpu/errors.js';
import type { DensityHistory } from '../../sae/insight/density-history.js';
import { readSafetensors, safetensorsParts } from '../../sae/model/safetensors.js';
import { readingFile } from '../read-from.js';
import type { RunRecord } from '../run-file.js';
import { writeWhole } from '../write-file.js';

type History = NonNullable<DensityHistory['history']>;

/** Beside the model. */
export const historyName = 'densities.safetensors';
const program = 'webgpu-sae densities';

/**
 * Writes latents' densities by epoch: the tensors `epochs` [n] and `densities` [n, hidden].
 * @param trained when, as the training's record says.
 * @throws EngineError if it cannot be written.
 */
export async function writeHistory(
  file: string,
  { epochs, densities }: History,
  trained: string,
): Promise<void> {
  const tensors = new Map([
    ['epochs', { shape: [epochs.length], data: Float32Array.from(epochs) }],
    ['densities', { shape: [epochs.length, densities.length / epochs.length], data: densities }],
  ]);
  const metadata = new Map([
    ['program', program],
    ['trained', trained],
  ]);
  await writeWhole(file, safetensorsParts({ tensors, metadata }), (why, cause) => {
    return new EngineError(`${file} cannot be written: ${why}.`, { cause });
  });
}

/** The densities that lie beside a saved model. Undefined if there are none, or they are of another training than that of `record`. */
export async function readHistory(
  model: string,
  { date, model: { h_dims } }: RunRecord,
): Promise<History | undefined> {
  const file = join(dirname(model), historyName);
  try {
    const { tensors, metadata } = await readingFile(file, (source) => readSafetensors(source, file));
    const [epochs, densities] = [tensors.get('epochs'), tensors.get('densities')];
    const same = metadata.get('program') === program && metadata.get('trained') === date;
    const fits = densities?.shape[1] === h_dims.at(-1) && densities?.shape[0] === epochs?.data.length;
    return same && fits && epochs && densities
      ? { epochs: [...epochs.data], densities: densities.data as Float32Array<ArrayBuffer> }
      : undefined;
  } catch {
    // A report has no need of it, and what is damaged there does no harm to the model.
    return undefined;
  }
}

/** Whether this program wrote a densities.safetensors that begins so. */
export function isOurHistory(content: Uint8Array): boolean {
  return new TextDecoder().decode(content.subarray(0, 4096)).includes(program);
}
