import { EngineError, type LatentTop } from '../sae/index.js';
import { writeWhole } from './write-file.js';

/** Top-activating rows of a latent in the file. */
export const topRowsInFile = 10;

/** The names of a latent's label and activation, by their place from 0. */
const pair = (i: number) => [`label_${i + 1}`, `activation_${i + 1}`];
const columns = ['latent', 'density', ...Array.from({ length: topRowsInFile }, (_, i) => pair(i)).flat()];
const header = columns.join(',');

/** Latents that are made into text at a time. */
const latentsAtATime = 1024;

/**
 * Writes what excites each latent as a .csv file: a line for each with its number from 1, its density, and the labels of
 * its top-activating rows, each followed by the activation. What a latent has not is empty.
 * @param labels of all rows.
 * @throws EngineError if the file cannot be written.
 */
export async function writeLatentsFile(
  file: string,
  latents: readonly LatentTop[],
  labels: readonly string[],
): Promise<void> {
  const { default: Papa } = await import('papaparse');
  const line = ({ density, exciting }: LatentTop, latent: number) => {
    // As many digits as f32 has.
    const top = exciting.flatMap(({ row, activation }) => [labels[row], Number(activation.toPrecision(7))]);
    return [latent + 1, density, ...top, ...Array<string>(columns.length - 2 - top.length).fill('')];
  };
  const lines = latents.map(line);
  function* parts() {
    yield Buffer.from(`${header}\n`);
    for (let first = 0; first < lines.length; first += latentsAtATime) {
      const some = Papa.unparse(lines.slice(first, first + latentsAtATime), { newline: '\n' });
      yield Buffer.from(`${some}\n`);
    }
  }
  await writeWhole(file, parts(), (why, cause) => {
    return new EngineError(`${file} cannot be written: ${why}.`, { cause });
  });
}

/** Whether this program wrote a latents.csv that begins so. */
export function isOurLatentsFile(content: Uint8Array): boolean {
  return new TextDecoder().decode(content.subarray(0, header.length)) === header;
}
