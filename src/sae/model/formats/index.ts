import type { ByteSource } from '../../rows/formats/bytes.js';
import { refuse } from './bytes.js';
import { dictionaryLearning } from './dictionary-learning.js';
import { ModelFolder } from './folder.js';
import type { SaeFormat } from './format.js';
import { gemmaScope } from './gemma-scope.js';
import type { ImportedSae } from './imported.js';
import { openai } from './openai.js';
import { overcomplete } from './overcomplete.js';
import { saelens } from './saelens.js';
import { saev } from './saev.js';
import { sparsify } from './sparsify.js';

export { bytesInMemory } from './bytes.js';
export type { ImportedActivation, ImportedSae, SaeFiles } from './imported.js';
export { saelensFiles } from './saelens-writer.js';
export { sparsifyFiles } from './sparsify-writer.js';

/** The programs whose autoencoders can be read. Where several recognise files, the first has them. */
export const saeFormats: readonly SaeFormat[] = [
  saelens,
  sparsify,
  dictionaryLearning,
  saev,
  openai,
  overcomplete,
  gemmaScope,
];

/**
 * Whether it is for `importSae` to read a file, or to say why it cannot be read: not where its tensors are in the
 * safetensors format under names that no other program is known for, as those of this one are.
 * @throws ModelFileError if it is damaged.
 */
export async function isForeign(name: string, file: ByteSource, source: string): Promise<boolean> {
  const folder = new ModelFolder(new Map([[name, file]]), source);
  return (await formatOf(folder)) !== undefined || (await folder.weights(name)).container !== 'safetensors';
}

async function formatOf(folder: ModelFolder): Promise<SaeFormat | undefined> {
  for (const format of saeFormats) {
    if (await format.recognizes(folder)) return format;
  }
  return undefined;
}

/**
 * Reads a sparse autoencoder that another program saved, recognised by names and contents of its files. Nothing in
 * them is executed, and tensors are read one at a time.
 * @param files a folder's files, or one alone, by their names.
 * @param source the folder's or file's name in messages.
 * @throws ModelFileError for what is not recognised, is damaged, or means something that an ImportedSae cannot express.
 */
export async function importSae(
  files: ReadonlyMap<string, ByteSource>,
  source: string,
): Promise<ImportedSae> {
  const folder = new ModelFolder(files, source);
  const format = await formatOf(folder);
  if (format) return format.read(folder);
  const weights = await folder.onlyWeights();
  const found = weights ? `its tensors are ${weights.names()}` : 'it has no file of weights';
  const known = saeFormats.map(({ tool, files: expected }) => `${tool} (${expected})`).join(', ');
  return refuse(source, `it is of no program that is known: ${found}. Expected were files of ${known}.`);
}
