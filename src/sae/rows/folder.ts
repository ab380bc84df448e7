import { z } from 'zod';
import { atOnce } from '../at-once.js';
import { DataError } from '../errors.js';
import { holdsRows } from './decode.js';
import { alternatives } from './formats/array.js';
import type { OpenOptions, RowFormat, RowsFile } from './formats/file.js';
import { namedAsRows, rowFormats } from './formats/index.js';
import { readJson } from './formats/json.js';

/** A folder of files, on a disk or as a page was given it. */
export interface Folder {
  /** Its name in messages. */
  readonly name: string;
  /** The names of its files without hidden ones, in their natural order. */
  readonly files: readonly string[];
  /** Formats of rows that its files may have beside the engine's. */
  readonly formats?: readonly RowFormat[];
  /** What a file or folder in it is called in messages. */
  path(name: string): string;
  /** @param expected what it should be, in messages. @throws DataError if it cannot be read. */
  open(name: string, expected?: string): Promise<RowsFile>;
}

/** The order of names in which rows of several files are taken. */
export const naturalOrder = new Intl.Collator('en', { numeric: true });

/**
 * The files of a folder that hold rows, in their order, and those that were passed over. Of a saved data set, its shards
 * are the rows; where a list in the folder names files that are not there, these are among the rows, so that reading
 * them says so.
 * @param options decide which files are rows.
 * @throws DataError if a shard is not there, or if the folder has several data sets.
 */
export async function rowsInFolder(
  folder: Folder,
  options: Pick<OpenOptions, 'rows_type'> = {},
): Promise<{ readonly rows: readonly string[]; readonly others: readonly string[] }> {
  const shards = await savedShards(folder);
  if (shards) return { rows: shards, others: [] };
  const rows: string[] = [];
  const others: string[] = [];
  const holds = await atOnce(folder.files, (name) => mayHoldRows(folder, name, options));
  folder.files.forEach((name, i) => {
    (holds[i] ? rows : others).push(name);
  });
  const { lists, missing } = await missingFrom(folder);
  return { rows: [...rows, ...missing], others: others.filter((name) => !lists.has(name)) };
}

/** A file that cannot be read may if it is called so: reading it says why. */
async function mayHoldRows(folder: Folder, name: string, options: OpenOptions): Promise<boolean> {
  try {
    return await holdsRows(await folder.open(name), options);
  } catch {
    return namedAsRows(name, [...rowFormats, ...(folder.formats ?? [])]);
  }
}

/**
 * The files that a list in the folder names and that are not there; and the names of such lists and of what stands beside
 * them.
 */
async function missingFrom(folder: Folder) {
  const lists = new Set<string>();
  const missing: string[] = [];
  for (const { listed, beside } of rowFormats) {
    if (!listed || !beside || ![listed.file, beside].every((name) => folder.files.includes(name))) continue;
    const fail = () => {
      throw new DataError('It is no list.');
    };
    const json = await folder
      .open(listed.file)
      .then((file) => readJson(file, fail))
      .catch(() => undefined);
    const all = listed.files(json);
    if (!all) continue;
    lists.add(listed.file).add(beside);
    missing.push(...all.filter((name) => !folder.files.includes(name)));
  }
  return { lists, missing };
}

// What `save_to_disk` of Hugging Face's datasets writes: https://github.com/huggingface/datasets, arrow_dataset.py and
// dataset_dict.py. Other files in such a folder, as those of an interrupted run, are no shards of it.
const state = z.object({ _data_files: z.array(z.object({ filename: z.string() })) });
/** Names of folders beside the list. */
const splits = z.object({ splits: z.array(z.string().regex(/^\w[\w.-]*$/)).min(1) });

/** The shards of a folder that `save_to_disk` wrote, in their order; undefined for another folder. @throws as `rowsInFolder`. */
async function savedShards(folder: Folder): Promise<readonly string[] | undefined> {
  const several = await parsed(folder, 'dataset_dict.json', splits);
  if (several) {
    const names = several.splits.map((name) => folder.path(name));
    throw new DataError(
      `${folder.name} has a data set for each of its splits; take one: ${alternatives(names)}.`,
    );
  }
  const saved = await parsed(folder, 'state.json', state);
  if (!saved) return undefined;
  const names = saved._data_files.map(({ filename }) => filename);
  const expected = `expected the shards that ${folder.path('state.json')} names, as save_to_disk writes them`;
  if (names.length === 0) throw new DataError(`${folder.name} has no shards; ${expected}.`);
  const missing = names.filter((name) => !folder.files.includes(name));
  if (missing.length > 0) {
    const more =
      missing.length > 1 ? ` and ${missing.length - 1} more of ${names.length}` : ` of ${names.length}`;
    throw new DataError(
      `${folder.name} lacks ${missing[0]}${more}; ${expected}. Copy the whole folder again.`,
    );
  }
  return names;
}

/** What a file in JSON says; undefined if there is none, or if it says something else. @throws DataError if it is damaged. */
async function parsed<T>(folder: Folder, name: string, schema: z.ZodType<T>): Promise<T | undefined> {
  if (!folder.files.includes(name)) return undefined;
  const json = await readJson(await folder.open(name, 'what save_to_disk writes'), (sentence, cause) => {
    throw new DataError(`${folder.path(name)} is damaged: ${sentence} Copy it again.`, { cause });
  });
  return schema.safeParse(json).data;
}
