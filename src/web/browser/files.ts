import {
  DataError,
  type Dataset,
  decodeLabels,
  decodeModel,
  imagesDataset,
  isColoured,
  labelled,
  type NamedBlob,
  type NamedImage,
  naturalOrder,
  openBlobs,
  type ReportData,
  type Rows,
  type SavedModel,
  sortBlobs,
  unpackReport,
} from '../../sae/index.js';
import { type ShownRows, shownRowsOf } from '../session/shown-rows.js';
import { mostMemory } from './memory.js';

/** Most bytes of rows that are unpacked: a page keeps them all in memory. */
const most_bytes = 2 ** 30;

/** Downloads a file to the visitor's computer. */
export function saveBlob(name: string, blob: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Some browsers read the URL after the click has returned.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** What was read. */
export type Read =
  | { readonly model: SavedModel }
  | { readonly dataset: ShownRows }
  | { readonly labels: readonly string[] }
  | { readonly report: ReportData };

/**
 * Reads what was dropped or chosen, recognised by its content: a model, rows of one file or of several, or a set of images, each
 * with labels if a file of them is among the others; labels alone; or a report.
 * @param tensor picks an array or column, as in `OpenOptions`.
 * @throws EngineError with a message for the visitor.
 */
export async function readFiles(files: readonly NamedBlob[], tensor?: string): Promise<Read> {
  if (files.length === 0) {
    throw new DataError('What was dropped is not a file. Drop a model, files of rows, images, or labels.');
  }
  try {
    const page = files.find(({ name }) => /\.html?$/i.test(name));
    if (page) {
      if (files.length > 1) throw alone(page.name, 'a page');
      return { report: await unpackReport(await page.blob.text(), page.name) };
    }
    const { rows, labels: from } = await sortBlobs(files);
    if (rows.length === 1 && (await isModel(rows[0]))) {
      const [{ blob, name }] = rows;
      if (from) throw alone(name);
      return { model: decodeModel(new Uint8Array(await blob.arrayBuffer()), name) };
    }
    const read = rows.length > 0 ? await readRows(rows, tensor) : undefined;
    const labels = from && (await decodeLabels(from.blob, from.name));
    if (!read) return { labels: labels! };
    return { dataset: await shownRowsOf(labels ? labelled(read, labels, from.name) : read) };
  } catch (error) {
    throw error instanceof DOMException
      ? new DataError(`${files[0].name} cannot be read: it may have been moved.`, { cause: error })
      : error;
  }
}

async function isModel({ blob, name }: NamedBlob): Promise<boolean> {
  const start = new Uint8Array(await blob.slice(0, 9).arrayBuffer());
  // A safetensors file begins with the length of its header, in JSON.
  return name.endsWith('.safetensors') || start[8] === '{'.charCodeAt(0);
}

function alone(name: string, what = 'a model'): DataError {
  return new DataError(`${name} is ${what}, and is opened by itself. Open it alone.`);
}

async function readRows(files: readonly NamedBlob[], tensor: string | undefined): Promise<Rows> {
  if (files.every(({ blob }) => blob.type.startsWith('image/'))) return readImages(files);
  const [file] = files;
  if (await isModel(file)) throw alone(file.name);
  return openBlobs(files, { tensor, most_bytes, most_memory: mostMemory });
}

/** The images as rows: of red, green and blue values if any of them is in colour, else of greys. */
async function readImages(files: readonly NamedBlob[]): Promise<Dataset> {
  const images: NamedImage[] = [];
  for (const { blob, name } of files) {
    const bitmap = await createImageBitmap(blob).catch((error) => {
      throw new DataError(
        `${name} is not an image that this browser can read. Expected PNG, JPEG, WebP or another image format.`,
        { cause: error },
      );
    });
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext('2d')!;
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    images.push({ name, width, height, data: context.getImageData(0, 0, width, height).data });
  }
  const name = files.length === 1 ? files[0].name : `${files.length} images`;
  return imagesDataset(images, name, undefined, images.some(isColoured));
}

/** Calls `open` with files that are dropped anywhere on the page. */
export function onDrop(open: (files: NamedBlob[]) => void): void {
  const mark = (on: boolean) => document.body.classList.toggle('dropping', on);
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    mark(true);
  });
  document.addEventListener('dragleave', ({ relatedTarget }) => {
    if (!relatedTarget) {
      mark(false);
    }
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    mark(false);
    const { items, files } = event.dataTransfer!;
    const entries = [...items].map((item) => item.webkitGetAsEntry());
    // Entries are to be asked for before this function waits for anything.
    const all = entries.some((entry) => entry?.isDirectory)
      ? Promise.all(entries.map(filesOf)).then((found) => found.flat())
      : Promise.resolve(named(files));
    // A folder that cannot be looked into is as none.
    void all.catch(() => []).then(open);
  });
}

/** Files by themselves. */
export function named(files: Iterable<File>): NamedBlob[] {
  return Array.from(files, (blob) => ({ blob, name: blob.name }));
}

/** The files of a folder and of those in it, in the natural order of their names, without hidden ones; or a file. */
async function filesOf(entry: FileSystemEntry | null): Promise<NamedBlob[]> {
  if (!entry || entry.name.startsWith('.')) return [];
  if (entry.isFile) {
    const blob = await new Promise<File>((found, failed) =>
      (entry as FileSystemFileEntry).file(found, failed),
    );
    return [{ blob, name: entry.fullPath.replace(/^\//, '') }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const inside: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((found, failed) => reader.readEntries(found, failed));
    if (some.length === 0) break;
    inside.push(...some);
  }
  inside.sort((a, b) => naturalOrder.compare(a.name, b.name));
  return (await Promise.all(inside.map(filesOf))).flat();
}
