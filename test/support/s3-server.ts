import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { authorization, signatureOf } from './sigv4.js';

/** What goes wrong with a request. The first two leave its sender in the dark about whether it was carried out. */
export type Fault =
  | 'lost before'
  | 'lost after'
  | 'cut'
  | 'other bytes'
  | 'too short'
  | 'stalled'
  | 'stalls in body'
  | 'stale list'
  /** Answered so, and not carried out. */
  | { readonly status: number; readonly code: string }
  /** Milliseconds until it is carried out. */
  | { readonly late: number };

export interface Asked {
  readonly method: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

interface Held {
  readonly bytes: Buffer;
  readonly tag: string;
  readonly meta: Readonly<Record<string, string>>;
}

interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex');
const error = (status: number, code: string): Reply => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${code}</Message></Error>`,
});
const escapeXml = (text: string) => text.replace(/[&<>"]/g, (sign) => `&#${sign.codePointAt(0)};`);

/** So much of S3 as a store needs, on the loopback, with the semantics that AWS documents, and with faults. */
export class S3Server {
  readonly bucket = 'the-bucket';
  readonly id = 'AKIDEXAMPLE';
  readonly secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
  /** Is asked for each request, which has a number. */
  fault: (asked: Asked, number: number) => Fault | undefined = () => undefined;
  /** How conditions are understood: as by AWS; without quotes alone, as by radosgw 16; a loser gets 409, as from CoreWeave. */
  conditions: 'kept' | 'ignored' | 'unquoted' | 'conflict' = 'kept';
  pageLength = 1000;
  /** Of a part of a file, but for the last one. */
  leastPart = 5 * 2 ** 20;
  /** Milliseconds by which its clock is ahead. */
  ahead = 0;
  requests = 0;
  readonly objects = new Map<string, Held>();
  readonly uploads = new Map<
    string,
    { key: string; meta: Record<string, string>; parts: Map<number, Buffer> }
  >();
  #before: string[] = [];
  readonly #server = createServer((request, response) => {
    this.#answer(request, response).catch((failure) => response.destroy(failure));
  });

  async listen(): Promise<this> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    return this;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What a client's environment needs. */
  get environment(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL_S3: this.endpoint,
      AWS_ACCESS_KEY_ID: this.id,
      AWS_SECRET_ACCESS_KEY: this.secret,
      AWS_REGION: 'us-east-1',
    };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const url = new URL(request.url!, this.endpoint);
    const [, bucket, ...key] = url.pathname.split('/').map(decodeURIComponent);
    const asked: Asked = {
      method: request.method!,
      key: key.join('/'),
      query: url.searchParams,
      headers: request.headers as Record<string, string>,
      body: Buffer.concat(parts),
    };
    const fault = this.fault(asked, this.requests++);
    if (fault === 'lost before') return void response.destroy();
    if (fault === 'stalled') return;
    if (typeof fault === 'object' && 'late' in fault) {
      await new Promise((done) => setTimeout(done, fault.late));
    }
    const before = [...this.objects.keys()];
    const refused = this.#refused(asked, request.url!, bucket);
    const reply =
      refused ??
      (typeof fault === 'object' && 'status' in fault
        ? error(fault.status, fault.code)
        : this.#carryOut(asked, fault === 'stale list'));
    if (this.objects.size !== before.length) this.#before = before;
    if (fault === 'lost after') return void response.destroy();
    send(response, asked.method, reply, fault, new Date(Date.now() + this.ahead));
  }

  #refused({ method, headers, body }: Asked, target: string, bucket: string | undefined): Reply | undefined {
    const said = authorization(headers);
    if (!said) return error(403, 'AccessDenied');
    if (said.id !== this.id) return error(403, 'InvalidAccessKeyId');
    const date = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(headers['x-amz-date'] ?? '');
    const [, year, month, day, hour, minute, second] = date ?? [];
    const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
    if (!(Math.abs(time - Date.now() - this.ahead) < 900_000)) return error(403, 'RequestTimeTooSkewed');
    if (signatureOf({ method, target, headers }, this.secret) !== said.signature) {
      return error(403, 'SignatureDoesNotMatch');
    }
    for (const name of Object.keys(headers)) {
      if (name.startsWith('x-amz-') && !said.signed.includes(name)) return error(403, 'AccessDenied');
    }
    const sum = headers['x-amz-content-sha256'];
    if (sum !== 'UNSIGNED-PAYLOAD' && sum !== createHash('sha256').update(body).digest('hex')) {
      return error(400, 'XAmzContentSHA256Mismatch');
    }
    return bucket === this.bucket ? undefined : error(404, 'NoSuchBucket');
  }

  #carryOut(asked: Asked, stale: boolean): Reply {
    const { method, key, query } = asked;
    const upload = query.get('uploadId');
    if (key === '' && query.get('list-type') === '2') return this.#list(query, stale);
    if (method === 'POST' && query.has('uploads')) return this.#begin(asked);
    if (upload !== null) return this.#multipart(asked, upload);
    if (method === 'PUT') return this.#conflict(asked) ?? this.#put(key, asked.body, asked.headers);
    if (method === 'DELETE') {
      this.objects.delete(key);
      return { status: 204 };
    }
    return this.#get(asked);
  }

  /** https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html */
  #conflict({ key, headers }: Asked): Reply | undefined {
    if (this.conditions === 'ignored') return undefined;
    const there = this.objects.get(key);
    const none = headers['if-none-match'];
    const match = headers['if-match'];
    const lost =
      this.conditions === 'conflict'
        ? error(409, 'ConditionalRequestConflict')
        : error(412, 'PreconditionFailed');
    if (none !== undefined && none !== '*') return error(501, 'NotImplemented');
    if (none === '*' && there)
      return this.conditions === 'conflict' && this.requests % 2 === 0
        ? lost
        : error(412, 'PreconditionFailed');
    if (match === undefined) return undefined;
    if (!there)
      return this.conditions === 'unquoted' ? error(412, 'PreconditionFailed') : error(404, 'NoSuchKey');
    const named = this.conditions === 'unquoted' ? match : match.replaceAll('"', '');
    return named === there.tag ? undefined : lost;
  }

  #put(key: string, bytes: Buffer, headers: Readonly<Record<string, string>>): Reply {
    const held = { bytes, tag: md5(bytes), meta: metaOf(headers) };
    this.objects.set(key, held);
    return { status: 200, headers: { etag: `"${held.tag}"` } };
  }

  #get({ key, headers }: Asked): Reply {
    const there = this.objects.get(key);
    if (!there) return error(404, 'NoSuchKey');
    const own = { etag: `"${there.tag}"`, ...there.meta };
    const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '');
    if (!range) return { status: 200, headers: own, body: there.bytes };
    const [begin, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, there.bytes.length)];
    if (begin >= there.bytes.length) return error(416, 'InvalidRange');
    return {
      status: 206,
      headers: { ...own, 'content-range': `bytes ${begin}-${end - 1}/${there.bytes.length}` },
      body: there.bytes.subarray(begin, end),
    };
  }

  #list(query: URLSearchParams, stale: boolean): Reply {
    const prefix = query.get('prefix') ?? '';
    const after = Buffer.from(query.get('continuation-token') ?? '', 'base64').toString();
    const length = Math.min(this.pageLength, Number(query.get('max-keys') ?? 1000));
    const keys = (stale ? this.#before : [...this.objects.keys()])
      .filter((key) => key.startsWith(prefix) && (after === '' || key > after))
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const page = keys.slice(0, length);
    const more = keys.length > page.length;
    const contents = page.map((key) => `<Contents><Key>${escapeXml(key)}</Key><Size>1</Size></Contents>`);
    const token = more
      ? `<NextContinuationToken>${Buffer.from(page.at(-1)!).toString('base64')}</NextContinuationToken>`
      : '';
    return {
      status: 200,
      body: `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult><IsTruncated>${more}</IsTruncated>${contents.join('')}${token}</ListBucketResult>`,
    };
  }

  #begin({ key, headers }: Asked): Reply {
    const id = `${randomBytes(8).toString('hex')}&`;
    this.uploads.set(id, { key, meta: metaOf(headers), parts: new Map() });
    return {
      status: 200,
      body: `<InitiateMultipartUploadResult><UploadId>${escapeXml(id)}</UploadId></InitiateMultipartUploadResult>`,
    };
  }

  #multipart({ method, key, query, body }: Asked, id: string): Reply {
    const upload = this.uploads.get(id);
    if (!upload || upload.key !== key) return error(404, 'NoSuchUpload');
    if (method === 'PUT') {
      upload.parts.set(Number(query.get('partNumber')), body);
      return { status: 200, headers: { etag: `"${md5(body)}"` } };
    }
    this.uploads.delete(id);
    if (method === 'DELETE') return { status: 204 };
    const named = [
      ...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>"([0-9a-f]+)"<\/ETag>/g),
    ];
    const parts = named.map(([, number]) => upload.parts.get(Number(number)));
    const right = named.every(
      ([, number, tag], i) => Number(number) === i + 1 && parts[i] && md5(parts[i]) === tag,
    );
    if (!right || parts.length === 0) return error(400, 'InvalidPart');
    if (parts.slice(0, -1).some((part) => part!.length < this.leastPart)) return error(400, 'EntityTooSmall');
    const bytes = Buffer.concat(parts as Buffer[]);
    this.objects.set(key, { bytes, tag: `${md5(bytes)}-${parts.length}`, meta: upload.meta });
    return { status: 200, body: '<CompleteMultipartUploadResult/>' };
  }
}

function metaOf(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-')));
}

function send(
  response: ServerResponse,
  method: string,
  reply: Reply,
  fault: Fault | undefined,
  date: Date,
): void {
  const body = Buffer.from(reply.body ?? '');
  const sent = fault === 'other bytes' ? Buffer.from(body.map((byte) => byte ^ 1)) : body;
  response.writeHead(reply.status, {
    date: date.toUTCString(),
    ...(reply.status !== 204 && { 'content-length': fault === 'too short' ? body.length >> 1 : body.length }),
    ...reply.headers,
  });
  if (method === 'HEAD' || reply.status === 204) response.end();
  else if (fault === 'cut') response.write(sent.subarray(0, body.length >> 1), () => response.destroy());
  else if (fault === 'stalls in body') response.write(sent.subarray(0, body.length >> 1));
  else if (fault === 'too short') response.end(sent.subarray(0, body.length >> 1));
  else response.end(sent);
}
