import { existsSync } from 'node:fs';
import { access, constants, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError } from '../gpu/errors.js';
import { describeFileError } from './data/files.js';

/**
 * Makes a folder and those above it where they are missing, so that a long run does not fail at its end.
 * @throws EngineError where that cannot be done, or nothing can be written there.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await makeWithParents(folder);
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new EngineError(
      `Nothing can be written to the folder ${folder}: ${describeFileError(error)}. Name another one.`,
      { cause: error },
    );
  }
}

/** What mkdir's `recursive` does; that one tries for ever where the system answers ENOENT, as it does in /proc. */
async function makeWithParents(folder: string): Promise<void> {
  const above = dirname(folder);
  if (above !== folder && !existsSync(above)) {
    await makeWithParents(above);
  }
  try {
    await mkdir(folder);
  } catch (error) {
    const there = (error as NodeJS.ErrnoException).code === 'EEXIST' && (await stat(folder)).isDirectory();
    if (!there) {
      throw error;
    }
  }
}
