import { dirname } from 'node:path';
import { ModelFileError } from '../sae/errors.js';
import { modelOf } from '../sae/model/imported-model.js';
import { modelParts, type ReadOptions, readModel, type SavedModel } from '../sae/model/saved-model.js';
import { makeFolder } from './folder.js';
import { isForeignModel, readForeignModel, reading } from './foreign-models.js';
import { readingFile } from './read-from.js';
import { writeWhole } from './write-file.js';

/**
 * Reads a saved model, without a second copy in memory: a file of this program, or a folder or file of another one that
 * `readForeignModel` reads.
 * @throws ModelFileError with what was wrong and what was expected.
 */
export async function readModelFile(path: string, options?: ReadOptions): Promise<SavedModel> {
  if (await isForeignModel(path)) {
    return modelOf(await readForeignModel(path));
  }
  return reading(path, () => readingFile(path, (file) => readModel(file, path, options)));
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
