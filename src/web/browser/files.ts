import {
  DataError,
  type Dataset,
  decodeModel,
  imagesDataset,
  type NamedImage,
  openBlobs,
  type Rows,
  type SavedModel,
  sampleRows,
  takeRows,
} from '../../sae/index.js';
import type { ShownRows } from '../session/run.js';
import { mostMemory } from './memory.js';

/** Most bytes of rows that are unpacked: a page keeps them all in memory. */
const most_bytes = 2 ** 30;
/** Rows that are shown of those that stay in their files, at most. */
const shownRows = 4096;

/** Downloads a file to the visitor's computer. */
export function saveBlob(name: string, blob: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Some browsers read the URL after the click has returned.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * Reads what was dropped or chosen, recognised by its content: a model, rows of one file or of several, or a set of images.
 * @throws EngineError with a message for the visitor.
 */
export async function readFiles(
  files: readonly File[],
): Promise<{ model: SavedModel } | { dataset: ShownRows }> {
  if (files.length === 0) {
    throw new DataError('What was dropped is not a file. Drop a model, files of rows, or images.');
  }
  if (files.every(({ type }) => type.startsWith('image/'))) {
    return { dataset: await readImages(files) };
  }
  const [file] = files;
  try {
    const start = new Uint8Array(await file.slice(0, 9).arrayBuffer());
    // A safetensors file begins with the length of its header, in JSON.
    if (file.name.endsWith('.safetensors') || start[8] === '{'.charCodeAt(0)) {
      if (files.length > 1) {
        throw new DataError(`${file.name} is a model, and is opened by itself. Open it alone.`);
      }
      return { model: decodeModel(new Uint8Array(await file.arrayBuffer()), file.name) };
    }
    const blobs = files.map((blob) => ({ blob, name: blob.name }));
    return { dataset: await shown(await openBlobs(blobs, { most_bytes, most_memory: mostMemory })) };
  } catch (error) {
    throw error instanceof DOMException
      ? new DataError(`${file.name} cannot be read: it may have been moved.`, { cause: error })
      : error;
  }
}

/** Rows with some of them in memory, to be shown. */
async function shown(rows: Rows): Promise<ShownRows> {
  if (!('read' in rows)) return rows;
  const places = sampleRows(rows.rows, shownRows, 0).sort((a, b) => a - b);
  return { ...(await takeRows(rows, places)), all: rows };
}

/** The images' grey values as rows. */
async function readImages(files: readonly File[]): Promise<Dataset> {
  const images: NamedImage[] = [];
  for (const file of files) {
    const bitmap = await createImageBitmap(file).catch((error) => {
      throw new DataError(
        `${file.name} is not an image that this browser can read. Expected PNG, JPEG, WebP or another image format.`,
        { cause: error },
      );
    });
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext('2d')!;
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    images.push({ name: file.name, width, height, data: context.getImageData(0, 0, width, height).data });
  }
  return imagesDataset(images, files.length === 1 ? files[0].name : `${files.length} images`);
}

/** Calls `open` with files that are dropped anywhere on the page. */
export function onDrop(open: (files: File[]) => void): void {
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
      : Promise.resolve([...files]);
    // A folder that cannot be looked into is as none.
    void all.catch(() => []).then(open);
  });
}

const natural = new Intl.Collator('en', { numeric: true });

/** The files of a folder and of those in it, in the natural order of their names, without hidden ones; or a file. */
async function filesOf(entry: FileSystemEntry | null): Promise<File[]> {
  if (!entry || entry.name.startsWith('.')) return [];
  if (entry.isFile) {
    return [await new Promise<File>((found, failed) => (entry as FileSystemFileEntry).file(found, failed))];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const inside: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((found, failed) => reader.readEntries(found, failed));
    if (some.length === 0) break;
    inside.push(...some);
  }
  inside.sort((a, b) => natural.compare(a.name, b.name));
  return (await Promise.all(inside.map(filesOf))).flat();
}
