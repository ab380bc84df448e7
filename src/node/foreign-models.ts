import { access, open, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ModelFileError } from '../sae/errors.js';
import { type ImportedSae, importSae, isForeign, type SaeFiles } from '../sae/model/formats/index.js';
import type { ByteSource } from '../sae/rows/formats/bytes.js';
import { describeFileError } from './data/files.js';
import { makeFolder } from './folder.js';
import { readFrom } from './read-from.js';
import { writeWhole } from './write-file.js';

/**
 * Reads an autoencoder of another program.
 * @param path its folder, or its file.
 * @throws ModelFileError with what was wrong and what was expected.
 */
export function readForeignModel(path: string): Promise<ImportedSae> {
  return reading(path, async () => importSae(await filesOf(path), path));
}

/**
 * Whether it is a folder, or a file that is for `readForeignModel` to read.
 * @throws ModelFileError if there is none, or it is damaged.
 */
export function isForeignModel(path: string): Promise<boolean> {
  return reading(path, async () => {
    const status = await stat(path);
    return status.isDirectory() || isForeign(basename(path), sourceOf(path, status.size), path);
  });
}

/** A folder's files, or one alone, by their names. */
async function filesOf(path: string): Promise<Map<string, ByteSource>> {
  const folder = (await stat(path)).isDirectory();
  const names = folder ? await readdir(path) : [basename(path)];
  const files = new Map<string, ByteSource>();
  for (const name of names) {
    const file = folder ? join(path, name) : path;
    const status = await stat(file);
    if (status.isFile()) {
      files.set(name, sourceOf(file, status.size));
    }
  }
  return files;
}

/** Makes failures of the operating system a ModelFileError. */
export async function reading<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ModelFileError) {
      throw error;
    }
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ModelFileError(
      missing
        ? `There is no model ${path}.`
        : `The model ${path} cannot be read: ${describeFileError(error)}.`,
      { cause: error },
    );
  }
}

/** Opened anew for each read: a folder may have any number of files. */
function sourceOf(file: string, length: number): ByteSource {
  return {
    length,
    read: async (begin, into) => {
      const handle = await open(file);
      try {
        await readFrom(handle, begin, into);
      } finally {
        await handle.close();
      }
    },
  };
}

/**
 * Writes a model for another program.
 * @throws ModelFileError if one of the files is there already, or cannot be written; EngineError for the folder.
 */
export async function writeForeignModel(folder: string, files: SaeFiles): Promise<void> {
  await makeFolder(folder);
  for (const name of files.keys()) {
    const file = join(folder, name);
    if (
      await access(file).then(
        () => true,
        () => false,
      )
    ) {
      throw new ModelFileError(`${file} is there already, and is not replaced. Choose another folder.`);
    }
  }
  for (const [name, parts] of files) {
    const file = join(folder, name);
    await writeWhole(file, parts, (why, cause) => {
      return new ModelFileError(`The model cannot be written as ${file}: ${why}.`, { cause });
    });
  }
}
