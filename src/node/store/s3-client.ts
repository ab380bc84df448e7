import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { EngineError } from '../../gpu/errors.js';
import { ConfigError } from '../../sae/errors.js';
import { HttpError, request } from '../data/http.js';
import type { Credentials, S3Settings } from './s3-settings.js';

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Without one, the bucket itself. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The server's own word for a failure, such as NoSuchKey. */
  readonly code: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** SHA-256 of what an object has, in hexadecimal digits, beside it. */
export const sumHeader = 'x-amz-meta-sha256';

/** Milliseconds, counts and bytes. Tests have smaller ones. */
export const limits = {
  attempts: 10,
  /** Attempts of the first request: who starts a program waits for it. */
  first: 4,
  /** Between attempts: a random time up to this, twice as much each time, up to the longest. */
  pause: 200,
  longestPause: 20_000,
  /** Until an answer begins, without what a body takes at 50 kB/s; then without any byte. */
  connect: 30_000,
  idle: 30_000,
  /** Of a part of a file; what is not longer is put at once. */
  part: 2 ** 24,
};

const passing = new Set([408, 429, 500, 502, 503, 504]);
/** An answer with one of these is an outcome; so is 409 to a request that has a condition. */
const outcomes = new Set([404, 412, 416]);
/** Of the server's words for credentials that it refuses. */
const meanings: Readonly<Record<string, string>> = {
  SignatureDoesNotMatch: 'AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID',
  InvalidAccessKeyId: 'it does not know AWS_ACCESS_KEY_ID',
  ExpiredToken: 'they have run out',
};

/** Sends signed requests, again where they fail in passing: https://docs.aws.amazon.com/AmazonS3/latest/API. */
export class S3Client {
  /** Milliseconds by which the server's clock is ahead. */
  #skew = 0;
  readonly #closed = new AbortController();

  constructor(
    readonly name: string,
    private readonly settings: S3Settings,
    private credentials: Credentials,
  ) {}

  close(): void {
    this.#closed.abort(new EngineError(`The store ${this.name} was closed.`));
  }

  /**
   * Asks, and reads the whole answer.
   * @throws ConfigError for what only other settings mend; EngineError if it failed to the last attempt; the signal's reason.
   */
  async send(asked: S3Request, attempts = limits.attempts): Promise<S3Answer> {
    return this.repeatedly(attempts, () => this.#attempt(asked));
  }

  /** Does something again where an HttpError of it may pass. @throws as `send`. */
  async repeatedly<T>(attempts: number, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        if (!error.passing || attempt >= attempts) throw this.#failed(error);
        const longest = Math.min(limits.pause * 2 ** (attempt - 1), limits.longestPause);
        await pause(error instanceof Again ? 0 : Math.random() * longest, undefined, {
          signal: this.#closed.signal,
        }).catch(() => this.#closed.signal.throwIfAborted());
      }
    }
  }

  /** Asks once. @throws HttpError, and as `send`. */
  async #attempt({ method, key, query = {}, headers = {}, body }: S3Request): Promise<S3Answer> {
    const url = new URL(this.settings.base);
    if (key !== undefined) url.pathname += key.split('/').map(escaped).join('/');
    url.search = Object.entries(query)
      .map((pair) => pair.map(escaped).join('='))
      .join('&');
    const date = new Date(Date.now() + this.#skew);
    const { AwsV4Signer } = await import('aws4fetch');
    const signed = await new AwsV4Signer({
      ...this.credentials,
      service: 's3',
      region: this.settings.region,
      method,
      url: url.href,
      // The server checks what came against it.
      headers: { ...headers, 'x-amz-content-sha256': sha256(body ?? new Uint8Array()) },
      datetime: date.toISOString().replace(/[:-]|\.\d{3}/g, ''),
    }).sign();
    const options = {
      method,
      headers: Object.fromEntries(signed.headers as unknown as Iterable<[string, string]>),
      body: body as Uint8Array<ArrayBuffer> | undefined,
      redirects: 0,
      connectTimeout: limits.connect + (body?.length ?? 0) / 50,
      idleTimeout: limits.idle,
      signal: this.#closed.signal,
    };
    return request(url, options, async (response, chunks) => {
      const parts: Uint8Array[] = [];
      for await (const part of chunks) parts.push(part);
      const bytes = new Uint8Array(Buffer.concat(parts));
      const sum = response.headers.get(sumHeader);
      if (method === 'GET' && response.status === 200 && sum !== null && sum !== sha256(bytes)) {
        throw new HttpError('sent other bytes than were stored', true);
      }
      return this.#outcome(response, bytes, 'if-match' in headers || 'if-none-match' in headers);
    });
  }

  /** @throws HttpError for what may pass; ConfigError. */
  async #outcome(
    { status, headers }: Response,
    bytes: Uint8Array<ArrayBuffer>,
    conditional: boolean,
  ): Promise<S3Answer> {
    // An upload in parts that fails late has begun its answer with 200.
    const failed = status >= 300 || startsWithError(bytes);
    const text = failed ? new TextDecoder().decode(bytes) : '';
    // Texts may repeat keys and signatures, and are not shown.
    const code = /<Code>(\w{1,64})<\/Code>/.exec(text)?.[1] ?? '';
    const answered = `answered ${status}${code && ` (${code})`}`;
    // Answers to HEAD have no code.
    const slow = status === 400 && /^(RequestTimeout)?$/.test(code);
    const conflict = status === 409 && !conditional;
    if (passing.has(status) || slow || conflict || (status < 300 && failed)) {
      throw new HttpError(answered, true);
    }
    if (status < 300 || status === 409 || (outcomes.has(status) && code !== 'NoSuchBucket')) {
      return { status, headers, code, bytes };
    }
    const region = headers.get('x-amz-bucket-region') ?? /<Region>([a-z0-9-]+)</.exec(text)?.[1];
    if (status === 401 || status === 403 || code === 'ExpiredToken') await this.#correct(code, headers);
    throw new ConfigError(this.#refused(status, code, answered, region));
  }

  /** @throws HttpError if another date or newer credentials may mend it. */
  async #correct(code: string, headers: Headers): Promise<void> {
    const skew = Date.parse(headers.get('date') ?? '') - Date.now();
    const least = code === 'RequestTimeTooSkewed' ? 5_000 : code === '' ? 300_000 : Number.POSITIVE_INFINITY;
    if (Math.abs(skew - this.#skew) > least) {
      this.#skew = skew;
      throw new Again(`answered that this machine's clock is wrong`, true);
    }
    const fresh = await this.settings.credentials();
    if (JSON.stringify(fresh) !== JSON.stringify(this.credentials)) {
      this.credentials = fresh;
      throw new Again(`refused the credentials`, true);
    }
  }

  #refused(status: number, code: string, answered: string, region: string | undefined): string {
    const store = `the store ${this.name}`;
    if (code === 'NoSuchBucket') {
      return `There is no bucket for ${store} at ${this.#server}. Make it, or correct its name.`;
    }
    if (region !== undefined && region !== this.settings.region && status < 500) {
      return `The bucket of ${store} is in the region ${region}, not in ${this.settings.region}. Set AWS_REGION=${region}.`;
    }
    if (code === 'RequestTimeTooSkewed') {
      return `The clocks of this machine and of ${this.#server} differ by too much for ${store}. Set this machine's clock.`;
    }
    if (status === 401 || status === 403 || code === 'ExpiredToken') {
      return `The credentials for ${store} are refused: ${this.#server} ${answered}; ${meanings[code] ?? 'they may lack the right to list, read, write and delete there'}.`;
    }
    return `A request to ${store} is refused: ${this.#server} ${answered}. Check that AWS_ENDPOINT_URL_S3 is the address of an S3 server.`;
  }

  #failed({ message, cause }: HttpError): EngineError {
    return new EngineError(
      `The store ${this.name} cannot be used: ${this.#server} ${message}. Check AWS_ENDPOINT_URL_S3 and the network, and try again.`,
      { cause },
    );
  }

  get #server(): string {
    return this.settings.base.host;
  }
}

/** A passing failure after which there is nothing to wait for. */
class Again extends HttpError {}

function startsWithError(bytes: Uint8Array): boolean {
  return /^\s*(<\?xml[^>]*>)?\s*<Error>/.test(new TextDecoder().decode(bytes.subarray(0, 200)));
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** As signatures want it. */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
