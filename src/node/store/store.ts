import { ConfigError } from '../../sae/errors.js';
import { openFolder } from './folder.js';
import { openS3 } from './s3.js';

/** Bytes of a record, and which version of it they are. */
export interface Stored {
  readonly bytes: Uint8Array;
  readonly version: string;
}

/**
 * Small records that many workers write, and large files that one of them does. Keys are like `trials/t0a1b/run.json`, of
 * ASCII letters, digits and `_=+@,.-`.
 *
 * No two versions of a record may have the same bytes: a bucket knows versions by what is in them. All methods throw an
 * EngineError where the store cannot be reached, or written; what they did is then unknown.
 */
export interface Store {
  /** As messages name it. */
  readonly name: string;
  /** Undefined if there is none. */
  read(key: string): Promise<Stored | undefined>;
  /**
   * Makes a record.
   * @returns its version; undefined if there is one already (not if it is our own of a retried request: that is a success).
   */
  create(key: string, bytes: Uint8Array): Promise<string | undefined>;
  /**
   * Replaces a record that is still of that version.
   * @returns the new one; undefined if it is another one now, or gone. Where a reply was lost, or this process slept, ours may have
   * been there for others to read and replace before that was noticed.
   */
  replace(key: string, bytes: Uint8Array, version: string): Promise<string | undefined>;
  /** Puts a local file under a key that nobody else writes. It is there whole or not at all. */
  putFile(key: string, path: string): Promise<void>;
  /** Copies it to a local path, whole or not at all. @throws DataError if it is not there. */
  getFile(key: string, path: string): Promise<void>;
  /** Keys that begin with a prefix, in the order of their UTF-8 bytes. */
  list(prefix: string): AsyncIterable<string>;
  /** Whether or not it is there. Only what nobody writes any more: a version of it may come again under the same key. */
  remove(key: string): Promise<void>;
  close(): void;
}

/**
 * Opens a store: a folder, which is made if there is none, or `s3://BUCKET/PREFIX`, for which the environment has what the
 * tools of AWS expect.
 * @param options its signal ends the opening alone.
 * @throws ConfigError for a name or settings that cannot be; EngineError if nothing can be written there, or it cannot be reached.
 */
export async function openStore(
  name: string,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<Store> {
  if (name.startsWith('s3://')) return openS3(name, { signal });
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(name)) {
    const scheme = name.slice(0, name.indexOf(':'));
    throw new ConfigError(`A store is a folder or s3://BUCKET/PREFIX, and ${scheme}:// is neither.`);
  }
  return openFolder(name);
}
