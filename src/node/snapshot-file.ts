import { dirname } from 'node:path';
import { EngineError } from '../gpu/errors.js';
import { DataError } from '../sae/errors.js';
import type { SparsityName } from '../sae/sparsity/index.js';
import { readSnapshot, type SavedSnapshot, snapshotParts } from '../sae/training/snapshot-file.js';
import { describeFileError } from './data/files.js';
import { makeFolder } from './folder.js';
import { readingFile } from './read-from.js';
import { writeWhole } from './write-file.js';

/**
 * Writes the snapshot of a training, piece by piece. After a failure or a kill there is the old file or the whole new one.
 * @throws EngineError if it cannot be written.
 */
export async function writeSnapshotFile<S extends SparsityName>(
  file: string,
  saved: SavedSnapshot<S>,
): Promise<void> {
  await makeFolder(dirname(file));
  await writeWhole(file, snapshotParts(saved), (why, cause) => {
    return new EngineError(`The snapshot ${file} cannot be written: ${why}.`, { cause });
  });
}

/**
 * Reads the snapshot of a training, from which `Trainer.resume` goes on.
 * @throws DataError if there is none, or it is damaged; ModelFileError for what is wrong with its model.
 */
export async function readSnapshotFile<S extends SparsityName = 'kl'>(
  file: string,
): Promise<SavedSnapshot<S>> {
  try {
    return await readingFile(file, (source) => readSnapshot<S>(source, file));
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new DataError(`The snapshot ${file} cannot be read: ${describeFileError(error)}.`, {
      cause: error,
    });
  }
}
