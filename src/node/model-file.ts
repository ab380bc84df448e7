import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { ModelFileError } from '../sae/errors.js';
import { decodeModel, encodeModel, type SavedModel } from '../sae/saved-model.js';
import { describeFileError } from './data/files.js';
import { makeFolder } from './folder.js';

/** Reads a saved model. @throws ModelFileError with what was wrong and what was expected. */
export async function readModelFile(file: string): Promise<SavedModel> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ModelFileError(
      missing
        ? `There is no model ${file}.`
        : `The model ${file} cannot be read: ${describeFileError(error)}.`,
      { cause: error },
    );
  }
  return decodeModel(bytes, file);
}

/**
 * Saves a model as safetensors: written beside its place, flushed and renamed, so that a kill leaves the old file or
 * the new one. @throws ModelFileError where it cannot be written.
 */
export async function writeModelFile(file: string, model: SavedModel): Promise<void> {
  await makeFolder(dirname(file));
  try {
    await writeFileAtomic(file, encodeModel(model) as unknown as Buffer);
  } catch (error) {
    throw new ModelFileError(`The model cannot be saved as ${file}: ${describeFileError(error)}.`, {
      cause: error,
    });
  }
}
