import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataError } from '../../sae/errors.js';
import { grouped } from '../../sae/rows/formats/array.js';
import type { RowsFile } from '../../sae/rows/formats/file.js';
import { packingOf } from '../../sae/rows/formats/packing.js';
import { describeFileError } from './files.js';
import { HttpError, request } from './http.js';
import { readError, rowsFile, unpackedStream } from './rows-file.js';

/** How a server is waited for. */
export interface UrlOptions {
  /** Milliseconds within which a server must begin to answer; by default 10,000. */
  readonly connectTimeout?: number;
  /** Milliseconds for which it may send nothing, or less than 16 KiB; by default 15,000. */
  readonly idleTimeout?: number;
  /** Milliseconds before a second attempt, and twice as many before each other; by default 500. */
  readonly retryDelay?: number;
  /** Most bytes of a file whose server does not send parts: all of it is copied; by default 4 GiB. */
  readonly mostCopied?: number;
  /** Ends what is asked for when the file is opened, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Attempts without a byte that came between them. */
const mostAttempts = 4;
/** Bytes that are asked for at a time, and at first. */
const partBytes = 8 * 2 ** 20;
const startBytes = 2 ** 16;

/** Whether a file is named by its address on the web. */
export function isUrl(path: string): boolean {
  return /^https?:\/\//i.test(path);
}

/** The address without what may be a key, for messages. */
export function shownUrl(address: string): string {
  if (!URL.canParse(address)) return address;
  const { origin, pathname } = new URL(address);
  return origin + pathname;
}

let folder: string | undefined;
let files = 0;

function temporaryFile(): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'sae-url-'));
    folder = made;
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  }
  return join(folder, String(files++));
}

/** What an answer says of the file. */
interface Version {
  readonly bytes: number;
  readonly tag: string | null;
}

/**
 * A file on a server, of which parts are asked for when they are needed. If the server does not send parts, all of it is
 * copied into a temporary file first.
 * @throws DataError if it is not there, or the server fails again and again.
 */
export async function urlFile(address: string, options: UrlOptions = {}): Promise<RowsFile> {
  const file = new RemoteFile(address, options);
  const start = await file.open();
  if (!start) return file.copied();
  const { name } = file;
  const { bytes } = file;
  const packed = packingOf(start);
  // The beginning, where headers are, is kept.
  const read = async (begin: number, into: Uint8Array) => {
    const kept = start.subarray(begin, begin + into.length);
    into.set(kept);
    await file.read(begin + kept.length, into.subarray(kept.length));
  };
  const stored = async function* (begin = 0, end = bytes) {
    for (let at = begin; at < end; ) {
      const most = at < startBytes ? startBytes - at : partBytes;
      const part = new Uint8Array(Math.min(most, end - at));
      await read(at, part);
      yield part;
      at += part.length;
    }
  };
  return {
    name,
    bytes,
    packed,
    stream: (begin, end) => (packed ? unpackedStream(stored(), { bytes, packed }, name) : stored(begin, end)),
    read,
    beside: (other) => file.beside(other),
    explain: (error) => readError(error, name),
  };
}

class RemoteFile {
  readonly name: string;
  readonly #url: URL;
  /** What the first answer said. */
  #version: Version | undefined;

  constructor(
    address: string,
    private readonly options: UrlOptions,
  ) {
    try {
      this.#url = new URL(address);
    } catch (error) {
      throw new DataError(`${address} is not an address on the web; expected https://HOST/PATH.`, {
        cause: error,
      });
    }
    this.name = shownUrl(address);
    if (this.#url.username !== '' || this.#url.password !== '') {
      throw new DataError(
        `${this.name} was given with a name or password, which are not sent. Leave them out.`,
      );
    }
  }

  get bytes(): number {
    return this.#version?.bytes ?? 0;
  }

  /** Its first bytes; undefined if the server does not send parts. */
  async open(): Promise<Uint8Array | undefined> {
    const start = new Uint8Array(startBytes);
    await this.read(0, start, this.options.signal);
    return this.#version && start.subarray(0, this.bytes);
  }

  /** Fills `into` with the bytes from `begin` on, as far as there are any. */
  async read(begin: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    let filled = 0;
    let whole = false;
    const ask = () =>
      this.#get([begin + filled, begin + into.length], signal, async (response, chunks) => {
        if (!this.#version) {
          if (response.status === 416) throw new DataError(`${this.name} is empty; expected a file of rows.`);
          whole = response.status === 200;
          if (whole) return;
        }
        const until = this.#partEnd(response, begin + filled, begin + into.length) - begin;
        for await (const chunk of chunks) {
          if (filled + chunk.length > until) {
            throw new DataError(`${this.#url.host} sent more of ${this.name} than it was asked for.`);
          }
          into.set(chunk, filled);
          filled += chunk.length;
        }
      });
    const all = () => (whole ? 0 : Math.min(into.length, (this.#version?.bytes ?? Infinity) - begin));
    if (into.length > 0) await this.#attempts(ask, () => [filled, all()]);
  }

  /** A file of that name in the same folder; undefined if there is none. */
  async beside(name: string): Promise<RowsFile | undefined> {
    try {
      return await urlFile(new URL(name, this.#url).href, this.options);
    } catch (error) {
      if (error instanceof Missing) return undefined;
      throw error;
    }
  }

  /** All of it in a temporary file, which is gone when the process ends. */
  async copied(): Promise<RowsFile> {
    const { mostCopied = 2 ** 32 } = this.options;
    const file = temporaryFile();
    let done = 0;
    let length: number | undefined;
    const tooLong = (bytes: string) =>
      new DataError(
        `${this.name} has ${bytes}, and its server does not send parts, so that all of it would be copied first: at most ` +
          `${grouped(mostCopied)} are. Download it, and name the file.`,
      );
    // What was cut is asked for from the beginning.
    const ask = () =>
      this.#get(undefined, this.options.signal, async (response, chunks) => {
        const said = response.headers.get('content-length');
        length = said === null ? undefined : Number(said);
        if (length !== undefined && length > mostCopied) throw tooLong(`${grouped(length)} bytes`);
        done = 0;
        const counting = async function* (this: RemoteFile) {
          for await (const chunk of chunks) {
            done += chunk.length;
            if (done > mostCopied) throw tooLong(`more than ${grouped(mostCopied)} bytes`);
            yield chunk;
          }
        };
        await pipeline(counting.call(this), createWriteStream(file)).catch((error) => {
          if (error.syscall !== 'write' && error.syscall !== 'open') throw error;
          throw new DataError(
            `${this.name} is copied into a temporary file in ${tmpdir()}, since its server does not send parts, and that cannot be ` +
              `written: ${describeFileError(error)}. Set TMPDIR to a folder with more room.`,
            { cause: error },
          );
        });
      });
    await this.#attempts(ask, () => [0, length === undefined || done === length ? 0 : 1]);
    return { ...(await rowsFile(file, { name: this.name })), beside: (name) => this.beside(name) };
  }

  /**
   * Asks again after failures that may pass.
   * @param progress what is done, and of how much, after `ask`.
   */
  async #attempts(
    ask: () => Promise<void>,
    progress: () => readonly [done: number, all: number],
  ): Promise<void> {
    const { retryDelay = 500 } = this.options;
    let why = '';
    for (let attempt = 0, before = 0; attempt < mostAttempts; attempt++) {
      if (attempt > 0) await sleep(retryDelay * 2 ** (attempt - 1));
      try {
        await ask();
        const [done, all] = progress();
        if (done >= all) return;
        why = 'ended its answer too early';
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        why = error.message;
      }
      // Where much of it came, attempts are counted anew. A few bytes each time would be waited for without end.
      const [done] = progress();
      if (done - before >= startBytes) {
        attempt = 0;
        before = done;
      }
    }
    throw new DataError(
      `${this.name} cannot be read: ${this.#url.host} ${why}, ${mostAttempts} times. Try again later.`,
    );
  }

  /** Asks for a part, or all, and gives the answer and its bytes to `use`. @throws HttpError that may pass, DataError. */
  async #get(
    part: readonly [begin: number, end: number] | undefined,
    signal: AbortSignal | undefined,
    use: (response: Response, chunks: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<void> {
    const { connectTimeout = 10_000, idleTimeout = 15_000 } = this.options;
    const range = part && { range: `bytes=${part[0]}-${part[1] - 1}` };
    // Parts are those of what is stored.
    const headers = { 'accept-encoding': 'identity', ...range };
    try {
      await request(this.#url, { headers, connectTimeout, idleTimeout, signal }, async (response, chunks) => {
        this.#check(response);
        await use(response, chunks);
      });
    } catch (error) {
      if (!(error instanceof HttpError) || error.passing) throw error;
      throw new DataError(`${this.name} cannot be read: ${this.#url.host} ${error.message}.`, {
        cause: error,
      });
    }
  }

  #check({ status, statusText, headers }: Response): void {
    const answered = `${status} ${statusText}`.trim();
    if (status >= 500 || status === 429 || status === 408) throw new HttpError(`answered ${answered}`, true);
    if (status === 404 || status === 410) {
      throw new Missing(`There is no file ${this.name}: ${this.#url.host} answered ${answered}.`);
    }
    if (![200, 206, 416].includes(status)) {
      throw new DataError(`${this.name} cannot be read: ${this.#url.host} answered ${answered}.`);
    }
    const coding = headers.get('content-encoding');
    if (coding !== null && coding !== 'identity') {
      throw new DataError(
        `${this.name} cannot be read: ${this.#url.host} sends it packed with ${coding}, though it was asked not to. Download it, and name ` +
          'the file.',
      );
    }
  }

  /**
   * Where the part ends that an answer brings.
   * @throws DataError if it is not the part that was asked for, or one of another version than the parts before.
   */
  #partEnd({ status, headers }: Response, begin: number, end: number): number {
    const range = headers.get('content-range');
    const [first, last, bytes] = (/^bytes (\d+)-(\d+)\/(\d+)$/.exec(range ?? '') ?? []).slice(1).map(Number);
    const isPart = first === begin && last >= begin && last < Math.min(end, bytes);
    if (status !== 206 || !isPart || !Number.isSafeInteger(bytes)) {
      throw new DataError(
        `${this.name} cannot be read in parts: asked for bytes ${grouped(begin)} to ${grouped(end - 1)}, ${this.#url.host} answered ` +
          `${status} with ${range === null ? 'no content-range' : `content-range ${range}`}. Download it, and name the file.`,
      );
    }
    const tag = headers.get('etag') ?? headers.get('last-modified');
    this.#version ??= { bytes, tag };
    const before = this.#version;
    if (bytes === before.bytes && tag === before.tag) return last + 1;
    const what =
      bytes === before.bytes
        ? `${this.#url.host} says that it is another version (${tag}, before ${before.tag})`
        : `it had ${grouped(before.bytes)} bytes, and now has ${grouped(bytes)}`;
    throw new DataError(
      `${this.name} was changed while it was read: ${what}. Begin again when it is complete.`,
    );
  }
}

/** There is no such file. */
class Missing extends DataError {}
