import { randomInt } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { EngineError } from '../../gpu/errors.js';
import { DataError } from '../../sae/errors.js';
import { describeFileError } from '../data/files.js';
import { makeFolder } from '../folder.js';
import { isDead, owner } from '../owner.js';
import { statOf } from '../stat.js';
import { flushFolder, writeWhole } from '../write-file.js';
import { checkKey, isKey } from './keys.js';

// POSIX has no compare-and-swap, but link(2) makes a name or says that there is one, on network folders too. So each version
// of a record has a name of its own, `key`, `key~2`, `key~3` ..., and the highest one is the record.

/** Beside the keys, none of which begins so, on the same file system. */
const temporaries = '.tmp';
/** Milliseconds after which a temporary file, which grows while it is written, is nobody's any more. */
const abandoned = 86_400_000;
/**
 * So many old versions stay, and as many again until they are removed at once. A writer that slept through some of them fails
 * to make the name of its next version, since it is there. One that slept through more makes it, and has to see in the
 * folder's list that as many are above it: on a network folder, that could be an old list.
 */
const kept = 100;
const attempts = 20;
/** What a file that is removed meanwhile gives, on a network folder too. */
const gone = ['ENOENT', 'ESTALE'];

/** @throws EngineError if nothing can be written there, or the file system has no hard links. */
export async function openFolder(name: string): Promise<FolderStore> {
  const root = resolve(name);
  await makeFolder(join(root, temporaries));
  const store = new FolderStore(root);
  await store.prepare();
  return store;
}

/** A store in a folder that may be shared. */
export class FolderStore {
  constructor(readonly name: string) {}

  /** Tries links, and removes what killed processes left. */
  async prepare(): Promise<void> {
    const folder = join(this.name, temporaries);
    const first = await this.#write([new Uint8Array(1)]);
    const second = this.#temporary();
    try {
      await link(first, second);
      // By the folder's own clock, which may differ from this machine's.
      const now = (await stat(first)).mtimeMs;
      for (const entry of await readdir(folder)) {
        const file = join(folder, entry);
        const age = now - ((await statOf(file))?.mtimeMs ?? now);
        if (age > abandoned || isDead(entry)) await rm(file, { force: true });
      }
    } catch (error) {
      throw new EngineError(
        `The folder ${this.name} cannot be a store: a hard link cannot be made there (${describeFileError(error)}). ` +
          'Name a folder of a file system that has them, as NFS and local disks do.',
        { cause: error },
      );
    } finally {
      await Promise.all([first, second].map((file) => rm(file, { force: true }).catch(() => {})));
    }
  }

  async read(key: string): Promise<{ bytes: Uint8Array; version: string } | undefined> {
    for (let attempt = 0; ; attempt++) {
      const highest = (await this.#versions(key)).at(-1);
      if (highest === undefined) return undefined;
      try {
        return { bytes: await readFile(this.#file(key, highest)), version: String(highest) };
      } catch (error) {
        // It is being removed; or an old version was, and there are a hundred newer ones.
        if (!gone.includes(codeOf(error)) || attempt === attempts) throw this.#failure('read', key, error);
      }
    }
  }

  async create(key: string, bytes: Uint8Array): Promise<string | undefined> {
    return this.#put(key, bytes, 0);
  }

  async replace(key: string, bytes: Uint8Array, version: string): Promise<string | undefined> {
    const number = Number(version);
    const versions = await this.#versions(key);
    return versions.at(-1) === number ? this.#put(key, bytes, number, versions) : undefined;
  }

  /** Makes the version after `before`, unless there is one, or a higher one, or `before` is gone. */
  async #put(
    key: string,
    bytes: Uint8Array,
    before: number,
    versions?: readonly number[],
  ): Promise<string | undefined> {
    checkKey(key);
    const file = this.#file(key, before + 1);
    for (let attempt = 0; ; attempt++) {
      const temporary = await this.#write([bytes], key);
      try {
        if (before === 0) await this.#makeAbove(key);
        if (!(await isLinked(temporary, file))) return undefined;
        await flushFolder(dirname(file)).catch(() => {});
        const now = await this.#versions(key);
        // Others may have read it, and gone on from it, already. A name that was free again has many above it.
        const above = now.at(-1)! - (before + 1);
        if (!(above < kept) || (before > 0 && !now.includes(before))) {
          // Where the record was removed, and made anew, the name is another's now.
          if (await isSame(temporary, file)) await rm(file, { force: true });
          return undefined;
        }
        await this.#trim(key, versions ?? []);
        return String(before + 1);
      } catch (error) {
        // This process slept for so long that its temporary file was taken for an abandoned one; or the folder was removed.
        if (codeOf(error) !== 'ENOENT' || attempt === attempts) throw this.#failure('written', key, error);
      } finally {
        await rm(temporary, { force: true }).catch(() => {});
      }
    }
  }

  /** The first one stays: it is the key, which others would make again. */
  async #trim(key: string, versions: readonly number[]): Promise<void> {
    if (versions.length <= 2 * kept) return;
    // What cannot be removed now is tried again by the next writer.
    const old = versions.slice(1, -kept).map((version) => rm(this.#file(key, version), { force: true }));
    await Promise.allSettled(old);
  }

  async putFile(key: string, path: string): Promise<void> {
    checkKey(key);
    const temporary = await this.#write(partsOf(path), key);
    try {
      await this.#makeAbove(key);
      await rename(temporary, this.#file(key, 1));
      await flushFolder(dirname(this.#file(key, 1))).catch(() => {});
    } catch (error) {
      throw this.#failure('written', key, error);
    } finally {
      await rm(temporary, { force: true }).catch(() => {});
    }
  }

  async getFile(key: string, path: string): Promise<void> {
    checkKey(key);
    const file = this.#file(key, 1);
    const status = await statOf(file).catch((error) => {
      throw this.#failure('read', key, error);
    });
    if (!status?.isFile()) throw new DataError(`There is no file ${key} in the store ${this.name}.`);
    await writeWhole(path, partsOf(file), (why, cause) => {
      return new EngineError(`${path} cannot be written: ${why}.`, { cause });
    });
  }

  async *list(prefix: string): AsyncGenerator<string> {
    const above = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    yield* this.#below(above, prefix);
  }

  async *#below(above: string, prefix: string): AsyncGenerator<string> {
    const entries = await readdir(join(this.name, above), { withFileTypes: true }).catch((error) => {
      if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return [];
      throw this.#failure('listed', above, error);
    });
    // With its slash a folder's name is in the order of the keys below it.
    const keys = entries
      .filter(({ name }) => isKey(name))
      .map((entry) => `${above}${entry.name}${entry.isDirectory() ? '/' : ''}`)
      .sort((a, b) => (a < b ? -1 : 1));
    for (const key of keys) {
      if (key.endsWith('/') && (key.startsWith(prefix) || prefix.startsWith(key)))
        yield* this.#below(key, prefix);
      else if (key.startsWith(prefix)) yield key;
    }
  }

  /** Its newest version takes the place of the first one before that goes: nobody sees an old one meanwhile. */
  async remove(key: string): Promise<void> {
    checkKey(key);
    try {
      for (;;) {
        const versions = await this.#names(key);
        const highest = versions.at(-1);
        if (highest === undefined) return;
        for (const version of versions.filter((one) => one > 1 && one < highest))
          await rm(this.#file(key, version), { force: true });
        if (highest > 1) await rename(this.#file(key, highest), this.#file(key, 1)).catch(unlessGone);
        await rm(this.#file(key, 1), { force: true });
      }
    } catch (error) {
      throw this.#failure('removed', key, error);
    }
  }

  close(): void {}

  #file(key: string, version: number): string {
    return join(this.name, version === 1 ? key : `${key}~${version}`);
  }

  #temporary(): string {
    return join(this.name, temporaries, `${owner()}-${randomInt(2 ** 47)}.tmp`);
  }

  /**
   * Those of a record, in ascending order: none without the first one, which goes last. What a writer then made whose record was
   * removed meanwhile is nothing that others may go on from.
   */
  async #versions(key: string): Promise<number[]> {
    const names = await this.#names(key);
    return names[0] === 1 ? names : [];
  }

  /** The versions whose names are there, in ascending order. */
  async #names(key: string): Promise<number[]> {
    checkKey(key);
    const own = key.slice(key.lastIndexOf('/') + 1);
    const names = await readdir(dirname(join(this.name, key))).catch((error) => {
      if (codeOf(error) === 'ENOENT') return [];
      throw this.#failure('read', key, error);
    });
    return names
      .filter(
        (name) => name === own || (name.startsWith(`${own}~`) && /^\d+$/.test(name.slice(own.length + 1))),
      )
      .map((name) => (name === own ? 1 : Number(name.slice(own.length + 1))))
      .sort((a, b) => a - b);
  }

  /** A temporary file with these bytes, on the disk. @throws EngineError; then there is none. */
  async #write(parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, key = ''): Promise<string> {
    const file = this.#temporary();
    try {
      const handle = await open(file, 'wx');
      try {
        for await (const part of parts) await handle.writeFile(part);
        await handle.sync();
      } finally {
        await handle.close();
      }
      return file;
    } catch (error) {
      await rm(file, { force: true }).catch(() => {});
      throw this.#failure('written', key, error);
    }
  }

  async #makeAbove(key: string): Promise<void> {
    let folder = dirname(join(this.name, key));
    const first = await mkdir(folder, { recursive: true });
    if (first === undefined) return;
    // The new names as well have to outlive a power cut.
    for (; folder !== dirname(first); folder = dirname(folder)) {
      await flushFolder(dirname(folder)).catch(() => {});
    }
  }

  #failure(done: string, key: string, error: unknown): EngineError {
    if (error instanceof EngineError) return error;
    const what = key ? `${key} in the store ${this.name}` : `The store ${this.name}`;
    return new EngineError(`${what} cannot be ${done}: ${describeFileError(error)}.`, { cause: error });
  }
}

/** Whether a file has that name now too; false if another one has. */
async function isLinked(temporary: string, file: string): Promise<boolean> {
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    // A network folder that sends a lost request again calls its own success a failure.
    return isSame(temporary, file);
  }
}

/** Whether two names are of one file. */
async function isSame(one: string, other: string): Promise<boolean> {
  try {
    const [first, second] = await Promise.all([stat(one, { bigint: true }), stat(other, { bigint: true })]);
    return first.ino === second.ino && first.dev === second.dev;
  } catch (error) {
    unlessGone(error);
    return false;
  }
}

async function* partsOf(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 2 ** 20 });
  } catch (error) {
    throw new DataError(`${path} cannot be read: ${describeFileError(error)}.`, { cause: error });
  }
}

function unlessGone(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}
