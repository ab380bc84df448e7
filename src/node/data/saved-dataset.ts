import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { DataError } from '../../sae/errors.js';
import { alternatives } from '../../sae/rows/formats/array.js';
import { describeFileError } from './files.js';

// What `save_to_disk` of Hugging Face's datasets writes: https://github.com/huggingface/datasets, arrow_dataset.py and
// dataset_dict.py. Other files in such a folder, as those of an interrupted run, are no shards of it.
const state = z.object({ _data_files: z.array(z.object({ filename: z.string() })) });
const splits = z.object({ splits: z.array(z.string()) });

/**
 * The shards of a folder that `save_to_disk` wrote, in their order; undefined for another folder.
 * @throws DataError if one is not there, or if the folder has several data sets.
 */
export async function savedShards(folder: string): Promise<string[] | undefined> {
  const several = await parsed(folder, 'dataset_dict.json', splits);
  if (several) {
    const names = several.splits.map((name) => join(folder, name));
    throw new DataError(`${folder} has a data set for each of its splits; name one: ${alternatives(names)}.`);
  }
  const saved = await parsed(folder, 'state.json', state);
  if (!saved) return undefined;
  const names = saved._data_files.map(({ filename }) => filename);
  const expected = `expected the shards that ${join(folder, 'state.json')} names, as save_to_disk writes them`;
  if (names.length === 0) throw new DataError(`${folder} has no shards; ${expected}.`);
  const missing: string[] = [];
  for (const name of names) {
    const there = name === basename(name) && (await stat(join(folder, name)).catch(() => undefined));
    if (!there) missing.push(name);
  }
  if (missing.length > 0) {
    const more =
      missing.length > 1 ? ` and ${missing.length - 1} more of ${names.length}` : ` of ${names.length}`;
    throw new DataError(`${folder} lacks ${missing[0]}${more}; ${expected}. Copy the whole folder again.`);
  }
  return names.map((name) => join(folder, name));
}

/** What a file in JSON says; undefined if there is none, or if it says something else. @throws DataError if it is damaged. */
async function parsed<T>(folder: string, name: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const path = join(folder, name);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new DataError(`${path} cannot be read: ${describeFileError(error)}.`, { cause: error });
  }
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch (error) {
    throw new DataError(`${path} is damaged: ${(error as Error).message}. Copy it again.`, { cause: error });
  }
}
