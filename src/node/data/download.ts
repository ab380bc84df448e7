import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DataError } from '../../sae/errors.js';
import { grouped } from '../../sae/rows/formats/array.js';
import { describeFileError } from './files.js';
import { HttpError, request } from './http.js';

/** A file with known contents. */
export interface PinnedFile {
  readonly name: string;
  readonly bytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

export interface DownloadOptions {
  /** Folders on the web, each ending in a slash, tried in turn. */
  readonly mirrors: readonly string[];
  /** The folder for the file; made if it does not exist. */
  readonly folder: string;
  /** Milliseconds within which a mirror must begin to answer; by default 2,500. */
  readonly connectTimeout?: number | undefined;
  /** Milliseconds for which a mirror may send nothing, or less than 16 KiB; by default 15,000. */
  readonly idleTimeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** @param done bytes so far, with those of an earlier attempt. @param bytes the file's length. */
  readonly onProgress?: ((name: string, done: number, bytes: number) => void) | undefined;
}

/** A failure of one mirror, after which the next is tried. */
class MirrorFailure extends Error {}

const underWay = new Map<string, Promise<void>>();

/** Whether `file` exists with the length and the SHA-256 of `pinned`. */
export async function isPinned(file: string, pinned: PinnedFile): Promise<boolean> {
  if ((await lengthOf(file)) !== pinned.bytes) return false;
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch {
    return false;
  }
  return hash.digest('hex') === pinned.sha256;
}

/**
 * Makes sure that `pinned` is in the folder and complete, and returns its path. If it is not there, it is downloaded
 * into a part file, which later attempts resume, then checked and renamed. Several processes may do this at once.
 * @throws DataError with the failure of each mirror; the signal's reason.
 */
export async function download(pinned: PinnedFile, options: DownloadOptions): Promise<string> {
  const file = join(options.folder, pinned.name);
  // A part file belongs to a process, so downloads of one file in a process take turns; the second finds the file.
  while (underWay.has(file)) await underWay.get(file)?.catch(() => {});
  options.signal?.throwIfAborted();
  const work = fetchPinned(file, pinned, options);
  underWay.set(file, work);
  try {
    await work;
  } finally {
    underWay.delete(file);
  }
  return file;
}

async function fetchPinned(file: string, pinned: PinnedFile, options: DownloadOptions): Promise<void> {
  if (await isPinned(file, pinned)) return;
  const part = await onDisk(options.folder, () => claimPart(file));
  const failures: string[] = [];
  for (const mirror of options.mirrors) {
    const url = new URL(pinned.name, mirror);
    try {
      await fillPart(url, part, pinned, options);
      await onDisk(options.folder, () => rename(part, file));
      return;
    } catch (error) {
      options.signal?.throwIfAborted();
      // Another process may have finished first; on Windows its open file cannot be replaced.
      if (await isPinned(file, pinned)) return rm(part, { force: true });
      if (!(error instanceof MirrorFailure)) throw error;
      failures.push(`${url.host} ${error.message}`);
    }
  }
  throw new DataError(`${pinned.name} could not be downloaded: ${failures.join('; ')}.`);
}

/** Runs a write to the folder, whose failure is not the mirror's. @throws DataError. */
async function onDisk<T>(folder: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw new DataError(
      `The folder ${folder} for downloaded data cannot be written: ${describeFileError(error)}. Choose another with data_dir.`,
      { cause: error },
    );
  }
}

/** This process's part file, taken over from an ended process if that left one. */
async function claimPart(file: string): Promise<string> {
  const folder = dirname(file);
  await mkdir(folder, { recursive: true });
  const mine = `${file}.${process.pid}.part`;
  for (const name of await readdir(folder)) {
    const owner = /^(.*)\.(\d+)\.part$/.exec(name);
    if (owner?.[1] !== basename(file) || isRunning(Number(owner[2]))) continue;
    // If two processes want it, one gets it.
    await rename(join(folder, name), mine).catch(() => {});
  }
  return mine;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function lengthOf(file: string): Promise<number> {
  return (await stat(file).catch(() => undefined))?.size ?? 0;
}

/** Fills the part file from one mirror and checks it; deletes it if it is wrong. @throws MirrorFailure. */
async function fillPart(url: URL, part: string, pinned: PinnedFile, options: DownloadOptions): Promise<void> {
  for (;;) {
    const offset = await lengthOf(part);
    // An earlier attempt may have been stopped between its last byte and the check.
    const began = offset < pinned.bytes ? await receive(url, part, offset, pinned, options) : offset;
    if (began !== 'refused' && (await isPinned(part, pinned))) return;
    await onDisk(options.folder, () => rm(part, { force: true }));
    // The bytes of an earlier attempt may have been wrong: this mirror is then asked for all of them.
    if (began === 0) throw new MirrorFailure('sent wrong bytes (their SHA-256 differs from the known one)');
  }
}

/**
 * Requests the bytes from `offset` on and writes them into the part file. Returns where they began: `offset`, or 0 if
 * the server sent everything; or `refused` if it cannot resume there.
 */
async function receive(
  url: URL,
  part: string,
  offset: number,
  pinned: PinnedFile,
  { connectTimeout = 2_500, idleTimeout = 15_000, signal, onProgress, folder }: DownloadOptions,
): Promise<number | 'refused'> {
  // The SHA-256 is that of the gzipped file, which must not be unpacked on the way.
  const headers = { 'accept-encoding': 'identity', ...(offset > 0 && { range: `bytes=${offset}-` }) };
  const save = async (response: Response, chunks: AsyncIterable<Uint8Array>) => {
    const { status, statusText, headers } = response;
    if (offset > 0 && status === 416) return 'refused';
    const resumed = offset > 0 && status === 206;
    if (resumed && !headers.get('content-range')?.startsWith(`bytes ${offset}-`)) return 'refused';
    if (!resumed && status !== 200) throw new MirrorFailure(`answered ${status} ${statusText}`.trim());
    const began = resumed ? offset : 0;
    const length = headers.get('content-length');
    if (length !== null && !headers.has('content-encoding') && began + Number(length) !== pinned.bytes) {
      // The part file is kept: it may still be right.
      throw new MirrorFailure(
        `offers a file of ${grouped(began + Number(length))} bytes, not of ${grouped(pinned.bytes)}`,
      );
    }

    const handle = await onDisk(folder, () => open(part, resumed ? 'a' : 'w'));
    try {
      let done = began;
      onProgress?.(pinned.name, done, pinned.bytes);
      for await (const chunk of chunks) {
        if (done + chunk.length > pinned.bytes) {
          await onDisk(folder, () => handle.truncate(0));
          throw new MirrorFailure(`sent more than the ${grouped(pinned.bytes)} bytes of the file`);
        }
        await onDisk(folder, () => handle.writeFile(chunk));
        done += chunk.length;
        onProgress?.(pinned.name, done, pinned.bytes);
      }
      if (done < pinned.bytes)
        throw new MirrorFailure(`stopped after ${grouped(done)} of ${grouped(pinned.bytes)} bytes`);
      await onDisk(folder, () => handle.sync());
      return began;
    } finally {
      await handle.close();
    }
  };
  try {
    return await request(url, { headers, connectTimeout, idleTimeout, signal }, save);
  } catch (error) {
    throw error instanceof HttpError ? new MirrorFailure(error.message) : error;
  }
}
