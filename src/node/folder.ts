import { access, constants, mkdir } from 'node:fs/promises';
import { EngineError } from '../gpu/errors.js';
import { describeFileError } from './data/files.js';

/**
 * Makes a folder and those above it where they are missing, so that a long run does not fail at its end.
 * @throws EngineError where that cannot be done, or nothing can be written there.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new EngineError(
      `Nothing can be written to the folder ${folder}: ${describeFileError(error)}. Name another one.`,
      { cause: error },
    );
  }
}
