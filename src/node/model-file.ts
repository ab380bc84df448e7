import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ModelFileError } from '../sae/errors.js';
import { modelParts, type ReadOptions, readModel, type SavedModel } from '../sae/model/saved-model.js';
import { describeFileError } from './data/files.js';
import { makeFolder } from './folder.js';
import { readFrom } from './read-from.js';
import { writeWhole } from './write-file.js';

/**
 * Reads a saved model, without a second copy in memory.
 * @throws ModelFileError with what was wrong and what was expected.
 */
export async function readModelFile(file: string, options?: ReadOptions): Promise<SavedModel> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file);
    const { size } = await handle.stat();
    return await readModel(
      { length: size, read: (begin, into) => readFrom(handle!, begin, into) },
      file,
      options,
    );
  } catch (error) {
    if (error instanceof ModelFileError) {
      throw error;
    }
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ModelFileError(
      missing
        ? `There is no model ${file}.`
        : `The model ${file} cannot be read: ${describeFileError(error)}.`,
      { cause: error },
    );
  } finally {
    await handle?.close();
  }
}

/**
 * Saves a model as safetensors, without a copy in memory. After a failure or a kill there is the old file or the whole
 * new one.
 * @throws ModelFileError if it cannot be written.
 */
export async function writeModelFile(file: string, model: SavedModel): Promise<void> {
  await makeFolder(dirname(file));
  await writeWhole(file, modelParts(model), (why, cause) => {
    return new ModelFileError(`The model cannot be saved as ${file}: ${why}.`, { cause });
  });
}
