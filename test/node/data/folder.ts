import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A temporary folder for one test file, gone when its tests are done. */
export function temporaryFolder(): {
  path: string;
  write: (name: string, bytes: Uint8Array | string) => string;
} {
  const path = mkdtempSync(join(tmpdir(), 'sae-data-'));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    write(name, bytes) {
      const file = join(path, name);
      writeFileSync(file, bytes);
      return file;
    },
  };
}

/** The message of what is thrown, which must be of the given class. */
export async function failure(of: new (message: string) => Error, run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof of) return error.message;
    throw error;
  }
  throw new Error('Nothing was thrown.');
}
