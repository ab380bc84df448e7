import { open, readlink, stat } from 'node:fs/promises';
import { DataError } from '../../sae/errors.js';
import { recognizedBytes } from '../../sae/rows/formats/array.js';
import { formatNames } from '../../sae/rows/formats/index.js';

const words: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the disk is read-only',
  ENOENT: 'the folder does not exist',
  ENOTDIR: 'a part of its path is a file, not a folder',
  EISDIR: 'it is a folder',
  EEXIST: 'there is a file of that name',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'it would be larger than a file may be here',
  EIO: 'the disk reports an error',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'its links lead in a circle',
  EMFILE: 'too many files are open',
  EBUSY: 'another program has it open',
};

/** The operating system's error in words, without a full stop. */
export function describeFileError(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code && words[code]) ?? message;
}

/**
 * The length and the first bytes of a data file, by which its format is known, and when it was changed last, in milliseconds.
 * @param expected what it should be, in messages.
 * @throws DataError if it is not a readable, non-empty file.
 */
export async function openDataFile(
  file: string,
  {
    name = file,
    expected = `a ${formatNames} file`,
  }: { readonly name?: string; readonly expected?: string } = {},
): Promise<{ bytes: number; changed: number; start: Buffer }> {
  try {
    const status = await stat(file);
    if (!status.isFile()) throw new DataError(`${name} is not a regular file; expected ${expected} on disk.`);
    if (status.size === 0) throw new DataError(`${name} is empty; expected ${expected}.`);
    const handle = await open(file);
    try {
      const start = Buffer.alloc(recognizedBytes);
      await handle.read(start, 0, recognizedBytes, 0);
      return { bytes: status.size, changed: status.mtimeMs, start };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      const leadsTo = await readlink(file).catch(() => undefined);
      const what =
        leadsTo === undefined
          ? `There is no file ${name}.`
          : `${name} is a link to ${leadsTo}, which is not there.`;
      throw new DataError(`${what} Check its name and folder.`, { cause: error });
    }
    throw new DataError(`${name} cannot be read: ${describeFileError(error)}.`, { cause: error });
  }
}
