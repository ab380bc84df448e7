import { closeSync, mkdtempSync, openSync, read, rmSync, write } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DataError } from '../sae/errors.js';
import { grouped } from '../sae/rows/formats/array.js';
import { describeFileError } from './data/files.js';

const readAt = promisify(read);
const writeAt = promisify(write);

const chunkBytes = 2 ** 20;

/** Makes the error for a file that cannot be written after so many bytes; `why` has no full stop. */
export type TemporaryFailure = (why: string, cause: unknown, bytes: number) => Error;

/**
 * A file for what is too much for memory. It has no name any more once it is open, where the system allows that, so nothing is
 * left of it when the process ends, however that happens.
 */
export class TemporaryFile {
  #bytes = 0;

  private constructor(
    private readonly folder: string,
    private readonly descriptor: number,
    private readonly remove: () => void,
    private readonly failure: TemporaryFailure,
  ) {}

  /** @param folder where it takes its place. @throws `failure`. */
  static make(folder: string, failure: TemporaryFailure): TemporaryFile {
    let remove = () => {};
    try {
      const own = mkdtempSync(join(folder, 'sae-rows-'));
      remove = () => rmSync(own, { recursive: true, force: true });
      process.once('exit', remove);
      return new TemporaryFile(folder, openSync(join(own, 'rows'), 'wx+'), remove, failure);
    } catch (error) {
      throw failure(describeFileError(error), error, 0);
    } finally {
      // Windows removes an open file at the end only.
      if (process.platform !== 'win32') {
        remove();
        process.off('exit', remove);
      }
    }
  }

  /** Its length. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Writes at its end. @throws `failure`. */
  async append({ buffer, byteOffset, byteLength }: ArrayBufferView): Promise<void> {
    for (let done = 0; done < byteLength; ) {
      const left = new Uint8Array(buffer, byteOffset + done, byteLength - done);
      const { bytesWritten } = await writeAt(this.descriptor, left, 0, left.length, this.#bytes).catch(
        (error: unknown) => {
          throw this.failure(describeFileError(error), error, this.#bytes);
        },
      );
      done += bytesWritten;
      this.#bytes += bytesWritten;
    }
  }

  /** Fills `into` with the bytes from `begin` on. @throws DataError if it cannot be read. */
  async read(begin: number, into: Uint8Array): Promise<void> {
    for (let filled = 0; filled < into.length; ) {
      const left = into.length - filled;
      const { bytesRead } = await readAt(this.descriptor, into, filled, left, begin + filled).catch(
        (error: unknown) => {
          throw this.#unreadable(describeFileError(error), error);
        },
      );
      if (bytesRead === 0) throw this.#unreadable(`it ends at byte ${grouped(begin + filled)}`);
      filled += bytesRead;
    }
  }

  /** All of it from the beginning, in pieces whose length is a multiple of 8 but for the last one. */
  async *chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (let begin = 0; begin < this.#bytes; begin += chunkBytes) {
      const chunk = new Uint8Array(Math.min(chunkBytes, this.#bytes - begin));
      await this.read(begin, chunk);
      yield chunk;
    }
  }

  #unreadable(why: string, cause?: unknown): DataError {
    return new DataError(`A temporary file in ${this.folder} cannot be read: ${why}.`, { cause });
  }

  /** Gives its place back. */
  close(): void {
    closeSync(this.descriptor);
    this.remove();
    process.off('exit', this.remove);
  }
}
