import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { EngineError } from '../../gpu/errors.js';
import { ConfigError, DataError } from '../../sae/errors.js';
import { describeFileError } from '../data/files.js';
import { HttpError } from '../data/http.js';
import { writeWhole } from '../write-file.js';
import { checkKey, isKey } from './keys.js';
import { limits, S3Client, type S3Request, sha256, sumHeader } from './s3-client.js';
import { s3Settings } from './s3-settings.js';

// Versions are ETags, and writes have conditions: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html.
// Where a reply is lost, the repeated request meets its own success and is refused. So every write has a name of its own.

const writeHeader = 'x-amz-meta-write';
/** Of one upload, as AWS allows. */
const mostParts = 10_000;

/** @throws ConfigError if there is no such bucket, or the credentials are refused; EngineError if it cannot be reached. */
export async function openS3(
  name: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<S3Store> {
  const [bucket = '', ...rest] = name.slice('s3://'.length).split('/');
  const prefix = rest.filter((part) => part !== '').join('/');
  const settings = await s3Settings(bucket);
  if (prefix && !isKey(prefix)) {
    throw new ConfigError(
      'The prefix in s3://BUCKET/PREFIX may have ASCII letters, digits, slashes and _=+@,.- alone.',
    );
  }
  const whole = `s3://${[bucket, ...(prefix ? [prefix] : [])].join('/')}`;
  const client = new S3Client(whole, settings, await settings.credentials());
  // Later, who is asked to end still has to give back what he has.
  const end = () => client.close();
  signal?.addEventListener('abort', end);
  try {
    signal?.throwIfAborted();
    // Asked like a list, of which it has to be able to make many.
    const query = { 'list-type': '2', 'max-keys': '1', prefix: prefix && `${prefix}/` };
    await client.repeatedly(limits.first, async () => {
      const { bytes } = await client.send({ method: 'GET', query }, limits.first);
      if (!text(bytes).includes('<ListBucketResult'))
        throw new HttpError('answers as no S3 server does', true);
    });
  } finally {
    signal?.removeEventListener('abort', end);
  }
  return new S3Store(whole, prefix && `${prefix}/`, client);
}

interface Known {
  readonly version: string;
  readonly write: string | null;
}

/** A store in a bucket. */
export class S3Store {
  /** How the server wants an ETag in a condition: radosgw before Ceph 17 wants it without quotes, against RFC 9110. */
  #quoted = true;

  constructor(
    readonly name: string,
    private readonly prefix: string,
    private readonly client: S3Client,
  ) {}

  async read(key: string): Promise<{ bytes: Uint8Array; version: string } | undefined> {
    const { status, headers, bytes } = await this.#send('GET', key);
    return status === 404 ? undefined : { bytes, version: versionOf(headers) };
  }

  async create(key: string, bytes: Uint8Array): Promise<string | undefined> {
    const write = randomUUID();
    return this.client.repeatedly(limits.attempts, async () => {
      const { status, headers } = await this.#write(key, bytes, write, { 'if-none-match': '*' });
      if (status < 300) return versionOf(headers);
      // Whoever is in the way may fail as well.
      if (status === 409) throw new HttpError('answered 409 again and again', true);
      const there = await this.#known(key);
      return there?.write === write ? there.version : undefined;
    });
  }

  async replace(key: string, bytes: Uint8Array, version: string): Promise<string | undefined> {
    const write = randomUUID();
    return this.client.repeatedly(limits.attempts, async () => {
      for (const quoted of [this.#quoted, !this.#quoted]) {
        const condition = { 'if-match': quoted ? `"${version}"` : version };
        const { status, headers } = await this.#write(key, bytes, write, condition);
        if (status < 300) {
          this.#quoted = quoted;
          return versionOf(headers);
        }
        if (status === 404) return undefined;
        const there = await this.#known(key);
        if (there?.write === write) return there.version;
        if (there?.version !== version) return undefined;
        if (status === 409) break;
      }
      throw new HttpError('refuses the version that it names, again and again', true);
    });
  }

  /** A file that is long goes in parts, which are verified one by one, and is there with the last one. */
  async putFile(key: string, path: string): Promise<void> {
    const unreadable = (error: unknown) =>
      new DataError(`${path} cannot be read: ${describeFileError(error)}.`, { cause: error });
    const { size } = await stat(path).catch((error) => {
      throw unreadable(error);
    });
    const sum = await sumOf(path).catch((error) => {
      throw unreadable(error);
    });
    const headers = { [sumHeader]: sum, [writeHeader]: randomUUID() };
    const read = partsOf(path, sum, unreadable);
    if (size > limits.part) return this.#putParts(key, headers, read(partLength(size)));
    for await (const body of read(limits.part)) await this.#put(key, { headers, body });
  }

  async #putParts(
    key: string,
    headers: Readonly<Record<string, string>>,
    parts: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const uploadId = await this.client.repeatedly(limits.first, async () => {
      const begun = await this.#send('POST', key, { query: { uploads: '' }, headers });
      const id = /<UploadId>([^<]+)<\/UploadId>/.exec(text(begun.bytes))?.[1];
      if (id !== undefined) return decoded(id);
      throw new HttpError('began no upload in parts', true);
    });
    const query = { uploadId };
    try {
      const tags: string[] = [];
      for await (const body of parts) {
        const part = { ...query, partNumber: String(tags.length + 1) };
        tags.push((await this.#put(key, { query: part, body })).get('etag') ?? '');
      }
      const list = tags.map((tag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${tag}</ETag></Part>`);
      const xml = `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`;
      const done = await this.#send('POST', key, { query, body: new TextEncoder().encode(xml) });
      // Of a lost reply the upload is gone, and the file is there.
      const there = done.status < 300 || (await this.#known(key))?.write === headers[writeHeader];
      if (!there) throw this.#unexpected(`answered ${done.status} to the end of an upload in parts`);
    } catch (error) {
      // What cannot be ended now waits for the bucket's own rules.
      await this.#send('DELETE', key, { query }, 2).catch(() => {});
      throw error;
    }
  }

  async getFile(key: string, path: string): Promise<void> {
    await this.client.repeatedly(limits.first, () =>
      writeWhole(path, this.#parts(key), (why, cause) => {
        return new EngineError(`${path} cannot be written: ${why}.`, { cause });
      }),
    );
  }

  /** @throws HttpError if they are not what was put; DataError if there are none. */
  async *#parts(key: string): AsyncGenerator<Uint8Array> {
    const whole = createHash('sha256');
    let [at, size, version, sum]: [number, number, string | undefined, string | null] = [
      0,
      1,
      undefined,
      null,
    ];
    while (at < size) {
      const range = { range: `bytes=${at}-${at + limits.part - 1}` };
      const { status, headers, bytes } = await this.#send('GET', key, { headers: range });
      if (status === 404) throw new DataError(`There is no file ${key} in the store ${this.name}.`);
      // Of an empty file there is no part.
      if (status === 416 && at === 0) return;
      const [, from, to, of] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? [];
      const all = status === 200 && at === 0;
      if (!all && (status !== 206 || Number(from) !== at || Number(to) !== at + bytes.length - 1)) {
        throw new HttpError(`answered ${status} with another part than it was asked for`, true);
      }
      version ??= versionOf(headers);
      if (versionOf(headers) !== version) throw new HttpError('replaced a file while it was read', true);
      size = all ? bytes.length : Number(of);
      sum = headers.get(sumHeader);
      at += bytes.length;
      whole.update(bytes);
      yield bytes;
    }
    if (sum !== null && sum !== whole.digest('hex')) {
      throw new HttpError(`sent other bytes than were stored for ${key}`, true);
    }
  }

  async *list(prefix: string): AsyncGenerator<string> {
    let last = '';
    for (let token: string | undefined; ; ) {
      const query = {
        'list-type': '2',
        prefix: this.prefix + prefix,
        ...(token !== undefined && { 'continuation-token': token }),
      };
      const page = await this.client.repeatedly(limits.attempts, async () => {
        const listed = text((await this.client.send({ method: 'GET', query })).bytes);
        if (/<\/ListBucketResult>\s*$/.test(listed)) return listed;
        throw new HttpError('sent a list that is cut', true);
      });
      for (const [, escaped] of page.matchAll(/<Contents>.*?<Key>([^<]*)<\/Key>/gs)) {
        const key = decoded(escaped!).slice(this.prefix.length);
        if (!isKey(key)) continue;
        if (key <= last) throw this.#unexpected('lists keys out of order, as directory buckets do');
        last = key;
        yield key;
      }
      if (!/<IsTruncated>true</.test(page)) return;
      const next = /<NextContinuationToken>([^<]+)</.exec(page)?.[1];
      if (next === undefined || decoded(next) === token) throw this.#unexpected('lists keys without end');
      token = decoded(next);
    }
  }

  async remove(key: string): Promise<void> {
    await this.#send('DELETE', key);
  }

  close(): void {
    this.client.close();
  }

  #send(
    method: S3Request['method'],
    key: string,
    rest: Omit<S3Request, 'method' | 'key'> = {},
    attempts?: number,
  ) {
    checkKey(key);
    return this.client.send({ method, key: this.prefix + key, ...rest }, attempts);
  }

  #write(key: string, body: Uint8Array, write: string, condition: Readonly<Record<string, string>>) {
    return this.#send('PUT', key, {
      headers: { ...condition, [writeHeader]: write, [sumHeader]: sha256(body) },
      body,
    });
  }

  /** Puts what nobody else does. */
  async #put(key: string, rest: Omit<S3Request, 'method' | 'key'>): Promise<Headers> {
    const { status, headers } = await this.#send('PUT', key, rest);
    if (status >= 300) throw this.#unexpected(`answered ${status} to what it was to store`);
    return headers;
  }

  /** What is there now, and whose write it was. */
  async #known(key: string): Promise<Known | undefined> {
    const { status, headers } = await this.#send('HEAD', key);
    return status === 404 ? undefined : { version: versionOf(headers), write: headers.get(writeHeader) };
  }

  #unexpected(what: string): EngineError {
    return new EngineError(`The server of the store ${this.name} ${what}. Use another one.`);
  }
}

function versionOf(headers: Headers): string {
  const tag = headers.get('etag')?.replace(/^(?:W\/)?"?|"$/g, '');
  if (tag) return tag;
  throw new HttpError('sends no ETag', false);
}

function partLength(size: number): number {
  return Math.max(limits.part, Math.ceil(size / mostParts));
}

async function sumOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(part);
  return hash.digest('hex');
}

/** Reads a file in parts of one length, but for the last one. @throws EngineError before the last one if it was changed. */
function partsOf(path: string, sum: string, unreadable: (error: unknown) => DataError) {
  return async function* (length: number): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    const handle = await open(path).catch((error) => {
      throw unreadable(error);
    });
    try {
      for (let last = false, first = true; !last; first = false) {
        const part = new Uint8Array(length);
        let filled = 0;
        while (filled < length && !last) {
          const { bytesRead } = await handle.read(part, filled, length - filled).catch((error) => {
            throw unreadable(error);
          });
          filled += bytesRead;
          last = bytesRead === 0;
        }
        hash.update(part.subarray(0, filled));
        if (last && hash.digest('hex') !== sum) {
          throw new EngineError(`${path} was changed while it was put into the store. Try again.`);
        }
        if (filled > 0 || first) yield part.subarray(0, filled);
      }
    } finally {
      await handle.close();
    }
  };
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** What XML escapes. */
function decoded(xml: string): string {
  const signs: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return xml.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return signs[name] ?? whole;
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal));
  });
}
