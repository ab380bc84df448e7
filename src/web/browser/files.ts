import {
  DataError,
  type Dataset,
  decodeDataset,
  decodeModel,
  imagesDataset,
  type NamedImage,
  type SavedModel,
} from '../../sae/index.js';

/** Most bytes of rows, unpacked: a page keeps them all in memory. */
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

/**
 * Reads what was dropped or chosen, recognised by its content: a model, rows, or a set of images.
 * @throws EngineError with a message for the visitor.
 */
export async function readFiles(
  files: readonly File[],
): Promise<{ model: SavedModel } | { dataset: Dataset }> {
  if (files.length > 0 && files.every(({ type }) => type.startsWith('image/'))) {
    return { dataset: await readImages(files) };
  }
  if (files.length !== 1) {
    throw new DataError(
      files.length === 0
        ? 'What was dropped is not a file. Drop a model, a file of rows, or images.'
        : `${files.length} files of several kinds cannot be opened together. Open one file, or images only.`,
    );
  }
  const [file] = files;
  try {
    const start = new Uint8Array(await file.slice(0, 9).arrayBuffer());
    // A safetensors file begins with the length of its header, in JSON.
    if (file.name.endsWith('.safetensors') || start[8] === '{'.charCodeAt(0)) {
      return { model: decodeModel(new Uint8Array(await file.arrayBuffer()), file.name) };
    }
    return { dataset: await decodeDataset(file, file.name, { most_bytes }) };
  } catch (error) {
    throw error instanceof DOMException
      ? new DataError(`${file.name} cannot be read: it may be a folder, or may have been moved.`, {
          cause: error,
        })
      : error;
  }
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
    open([...(event.dataTransfer?.files ?? [])]);
  });
}
