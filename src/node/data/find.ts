import { lstat, realpath as realpathCallback, type Stats, stat as statCallback } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { atOnce } from '../../sae/at-once.js';
import { DataError } from '../../sae/errors.js';
import { naturalOrder, rowsInFolder } from '../../sae/rows/folder.js';
import type { OpenOptions } from '../../sae/rows/formats/file.js';
import { formatNames } from '../../sae/rows/formats/index.js';
import { describeFileError } from './files.js';
import { hdf5 } from './hdf5.js';
import { rowsFile } from './rows-file.js';
import { isUrl } from './url-file.js';

/** What was found where files, folders and patterns were named. */
export interface FoundFiles {
  /** Each once, in the order in which they were named; those of a folder or a pattern in the natural order of their names. */
  readonly files: readonly string[];
  /** What stands for no file: a folder without rows, a pattern that nothing matches. */
  readonly missing: readonly DataError[];
  /** What was passed over, in sentences. */
  readonly notes: readonly string[];
}

/** Names in a sentence, at most. */
const mostNamed = 5;

/**
 * The files of rows that are named: by their paths, whether they are there or not; by folders, of which files that are no
 * rows, hidden files and folders within are passed over, and saved data sets, whose shards are theirs; and by patterns as
 * in a shell.
 * @param options decide which files of a folder are rows.
 */
export async function findDataFiles(
  named: string | readonly string[],
  options: Pick<OpenOptions, 'rows_type'> = {},
): Promise<FoundFiles> {
  const files = new Map<string, string>();
  const missing: DataError[] = [];
  const notes: string[] = [];
  for (const path of typeof named === 'string' ? [named] : named) {
    try {
      const found = await filesOf(path, notes, options);
      // A link and what it leads to are one file.
      const places = await atOnce(found, (file) => realpath(file).catch(() => resolve(file)));
      places.forEach((place, i) => {
        if (!files.has(place)) files.set(place, found[i]);
      });
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      missing.push(error);
    }
  }
  return { files: [...files.values()], missing, notes };
}

async function filesOf(path: string, notes: string[], options: OpenOptions): Promise<string[]> {
  if (isUrl(path)) return [path];
  const [, scheme] = /^([a-z][a-z\d+.-]+):\/\//i.exec(path) ?? [];
  if (scheme !== undefined) {
    throw new DataError(
      `${path} is not read: ${scheme} is neither https nor http. Name a file that is there, or such an address.`,
    );
  }
  if (path === '-') {
    throw new DataError('Standard input (-) is read as all of the data. Name a file here.');
  }
  const status = await stat(path).catch(() => undefined);
  if (status?.isDirectory()) return filesInFolder(path, notes, options);
  // A file may have a name that looks like a pattern.
  if (status || !isDynamicPattern(path)) return [path];
  const found = await glob(path, { expandDirectories: false, fs: withDanglingLinks });
  if (found.length === 0) {
    throw new DataError(`No file matches ${path}. Check the names, and the folder that it starts from.`);
  }
  return found.sort(naturalOrder.compare);
}

/** What is asked while a pattern's files are looked for: a link that leads nowhere is a file too, and reading it says so. */
const withDanglingLinks = {
  realpath: ((path: string, done: (error: null, path: string) => void) =>
    realpathCallback(path, (error, found) => done(null, error ? path : found))) as typeof realpathCallback,
  stat: ((path: string, done: (error: NodeJS.ErrnoException | null, status: Stats) => void) =>
    statCallback(path, (error, status) =>
      error ? lstat(path, done) : done(null, status),
    )) as typeof statCallback,
};

/** What Zarr leaves in the folder of an array or of a group, in its versions 2 and 3. */
const zarrFiles = ['.zarray', '.zgroup', 'zarr.json'];

async function filesInFolder(path: string, notes: string[], options: OpenOptions): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    throw new DataError(`${path} cannot be read: ${describeFileError(error)}.`, { cause: error });
  });
  const zarr = entries.find(({ name }) => zarrFiles.includes(name));
  if (zarr) {
    throw new DataError(
      `${path} is a folder of Zarr, by its ${zarr.name}, and Zarr is not read. Write its array as a .npy file: in Python, ` +
        `numpy.save('rows.npy', zarr.open('${basename(path)}')[...]).`,
    );
  }
  const files = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'));
  const { rows, others } = await rowsInFolder(
    {
      name: path,
      files: files.map(({ name }) => name).sort(naturalOrder.compare),
      formats: [hdf5],
      path: (name) => join(path, name),
      open: (name, expected) => rowsFile(join(path, name), expected === undefined ? {} : { expected }),
    },
    options,
  );
  if (rows.length === 0) {
    const inside = entries.some((entry) => entry.isDirectory())
      ? ` Folders in it are not looked into: a pattern such as "${join(path, '**')}" does that.`
      : '';
    throw new DataError(`${path} is a folder without rows; expected a ${formatNames} file in it.${inside}`);
  }
  if (others.length > 0) {
    const more = others.length - mostNamed;
    const some = others.slice(0, mostNamed).join(', ');
    notes.push(`In ${path} these are not read: ${some}${more > 0 ? ` and ${more} more` : ''}.`);
  }
  return rows.map((name) => join(path, name));
}
