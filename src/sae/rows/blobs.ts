import { DataError } from '../errors.js';
import { type BlobFile, blobFiles, folderOf, type NamedBlob } from './blob-file.js';
import { type DecodeOptions, openRowFiles } from './decode.js';
import { naturalOrder, rowsInFolder } from './folder.js';
import { counted, grouped } from './formats/array.js';
import { holdsLabels, readLabels } from './labels.js';
import { type Rows, valueBytes } from './source.js';

/**
 * Opens the rows of files that were dropped, chosen or fetched at once, one after another; of those in a folder as
 * `rowsInFolder` says, without others. They are read into memory only if they take at most `most_memory` bytes or cannot be
 * read from their places.
 * @throws as `decodeDataset` and `rowsInFolder`.
 */
export async function openBlobs(
  blobs: readonly NamedBlob[],
  { most_memory, ...options }: Omit<DecodeOptions, 'name'> & { readonly most_memory: number },
): Promise<Rows> {
  const all = blobFiles(blobs);
  const found = await filesOfRows(all);
  // Where nothing seems to be rows, opening all says why.
  const read = await Promise.all((found.length > 0 ? found : all).map((file) => file.open()));
  const more = read.length - 1;
  const name = `${read[0].name.slice(folderOf(read[0].name).length)}${more > 0 ? ` and ${counted(more, 'more file')}` : ''}`;
  const { most_bytes = Number.POSITIVE_INFINITY, ...others } = options;
  const files = await openRowFiles(
    read.map((file) => async () => file),
    // What stays in its file may be as long as it likes.
    { ...others, ...(read.some(({ packed }) => packed) && { most_bytes }), name },
  );
  const { rows = 0, in_dims, type } = files;
  const bytes = rows * in_dims * valueBytes[type];
  if (bytes > most_memory && files.placed) return files.inPlace();
  if (bytes > most_bytes) {
    throw new DataError(
      `${name} has ${grouped(bytes)} bytes of values that have to be in memory at once; at most ${grouped(most_bytes)} are accepted here. Use ` +
        'fewer rows.',
    );
  }
  return files.inMemory();
}

/** Those of the files that hold rows: folder by folder, in each in the order of `rowsInFolder`. */
async function filesOfRows(files: readonly BlobFile[]): Promise<BlobFile[]> {
  const folders = new Map<string, Map<string, BlobFile>>();
  for (const file of files) {
    const folder = folderOf(file.name);
    const inside = folders.get(folder) ?? new Map<string, BlobFile>();
    folders.set(folder, inside.set(file.name.slice(folder.length), file));
  }
  const found: BlobFile[] = [];
  for (const [folder, inside] of folders) {
    const { rows } = await rowsInFolder({
      name: folder.slice(0, -1) || 'What was opened',
      // Files by themselves keep their order.
      files: folder === '' ? [...inside.keys()] : [...inside.keys()].sort(naturalOrder.compare),
      path: (name) => folder + name,
      open: (name, expected) => inside.get(name)!.open(expected),
    });
    for (const name of rows) {
      const file = inside.get(name);
      if (!file) {
        throw new DataError(
          `There is no file ${folder}${name}, which a list beside it names. Copy the whole folder again.`,
        );
      }
      found.push(file);
    }
  }
  return found;
}

/** Files that were dropped or chosen at once. */
export interface SortedBlobs<B extends NamedBlob> {
  readonly rows: readonly B[];
  /** The file with labels, if one is among them. */
  readonly labels: B | undefined;
}

/**
 * Tells the file with labels from those with rows. Labels lie in no folder. A table that may be either is labels if there are rows
 * beside it.
 * @throws DataError if there are labels in several files.
 */
export async function sortBlobs<B extends NamedBlob>(blobs: readonly B[]): Promise<SortedBlobs<B>> {
  const files = blobFiles(blobs);
  const sorts = await Promise.all(
    files.map(async ({ name, open }) =>
      // What cannot be opened is taken for rows, and reading these says why.
      folderOf(name) === '' ? holdsLabels(name, open).catch(() => 'no' as const) : 'no',
    ),
  );
  const alone = !sorts.includes('no');
  const isLabels = (i: number) => sorts[i] === 'yes' || (sorts[i] === 'perhaps' && !alone);
  const labels = blobs.filter((_, i) => isLabels(i));
  if (labels.length > 1) {
    throw new DataError(
      `${labels[0].name} and ${labels[1].name} both have labels; expected one file of them. Leave the other out.`,
    );
  }
  return { rows: blobs.filter((_, i) => !isLabels(i)), labels: labels[0] };
}

/** Reads a file of labels, as `readLabels` does, from a Blob. @throws DataError. */
export async function decodeLabels(blob: Blob, name: string): Promise<string[]> {
  const [file] = blobFiles([{ blob, name }]);
  return readLabels(await file.open('a file of labels'));
}
