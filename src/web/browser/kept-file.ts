import { readSnapshot, type SavedSnapshot, type SparsityName } from '../../sae/index.js';

/** The name of the file in the storage that the browser keeps for this page alone, and of the lock of the tab that writes it. */
const name = 'training.safetensors';

/** A training in the browser's storage for this page, for a visitor who comes back after the tab was closed or has crashed. */
export class KeptFile {
  private constructor(readonly folder: FileSystemDirectoryHandle) {}

  /** Undefined if the browser has no such storage, or another tab has it, until which is closed it keeps its own training. */
  static async open(): Promise<KeptFile | undefined> {
    try {
      const folder = await navigator.storage.getDirectory();
      return await new Promise((resolve) => {
        void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
          resolve(lock ? new KeptFile(folder) : undefined);
          // The lock is this tab's as long as it is open.
          return lock ? new Promise(() => {}) : undefined;
        });
      });
    } catch {
      return undefined;
    }
  }

  /** The training, if there is one that can be read. */
  async read(): Promise<SavedSnapshot<SparsityName> | undefined> {
    try {
      const file = await (await this.folder.getFileHandle(name)).getFile();
      const read = async (begin: number, into: Uint8Array) =>
        into.set(new Uint8Array(await file.slice(begin, begin + into.length).arrayBuffer()));
      return await readSnapshot<SparsityName>({ length: file.size, read }, name);
    } catch {
      return undefined;
    }
  }

  /** Writes a training, of which the one before is there until all of it is. @throws DOMException if there is no room. */
  async write(parts: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<void> {
    const handle = await this.folder.getFileHandle(name, { create: true });
    const stream = await handle.createWritable();
    try {
      for await (const part of parts) await stream.write(part);
      await stream.close();
    } catch (error) {
      await stream.abort().catch(() => {});
      throw error;
    }
  }

  async forget(): Promise<void> {
    await this.folder.removeEntry(name).catch(() => {});
  }
}
