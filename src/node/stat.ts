import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';

/** What there is of a file; undefined if there is none. @throws the system's error if that cannot be told. */
export async function statOf(file: string): Promise<Stats | undefined> {
  try {
    return await stat(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}
