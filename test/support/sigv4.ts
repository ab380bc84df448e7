import { createHash, createHmac } from 'node:crypto';

// AWS's Signature Version 4 for headers, from its specification:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

export interface Signed {
  readonly method: string;
  /** As it was sent: path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The signature that the Authorization header of a request should have; undefined if that names none. */
export function signatureOf({ method, target, headers }: Signed, secret: string): string | undefined {
  const { scope, signed } = authorization(headers) ?? {};
  if (!scope || !signed) return undefined;
  const [path = '', query = ''] = target.split('?');
  const canonicalQuery = query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .sort()
    .join('&');
  const canonical = [
    method,
    path,
    canonicalQuery,
    ...signed.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/\s+/g, ' ')}`),
    '',
    signed.join(';'),
    headers['x-amz-content-sha256'],
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope.join('/'), hash(canonical)].join('\n');
  const key = scope.reduce<string | Buffer>((last, part) => hmac(last, part), `AWS4${secret}`);
  return hmac(key, toSign).toString('hex');
}

/** What a request says about its signature. */
export function authorization(headers: Readonly<Record<string, string>>) {
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    );
  if (!parts) return undefined;
  const [, id, scope, signed, signature] = parts as unknown as string[];
  return { id: id!, scope: scope!.split('/'), signed: signed!.split(';'), signature: signature! };
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
