import type { Dispatcher } from 'undici';
import { ConfigError } from '../../sae/errors.js';
import { grouped } from '../../sae/rows/formats/array.js';

/** A request that failed: the message continues a sentence that begins with the server's name. */
export class HttpError extends Error {
  /** @param passing whether the same request may succeed later. */
  constructor(
    message: string,
    readonly passing: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface RequestOptions {
  /** GET by default. */
  readonly method?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | undefined;
  /** So many redirections are followed, 10 by default; with 0 they are answers. */
  readonly redirects?: number;
  /** Milliseconds within which the server must have the body and begin to answer. */
  readonly connectTimeout: number;
  /** Milliseconds for which it may send nothing, and within which it must send `leastBytes`. */
  readonly idleTimeout: number;
  readonly signal?: AbortSignal | undefined;
}

/** A server that sends less within `idleTimeout` would be waited for without end: 16 KiB in 15 s are 1.1 kB/s. */
const leastBytes = 2 ** 14;
const redirections = new Set([301, 302, 303, 307, 308]);

/**
 * Errors of a connection, which may pass: those of the system, of undici and of the parser of HTTP. Others, such as those of
 * certificates, and what is refused before anything is sent, are the same the next time.
 */
const passingCodes = /^(E[A-Z]+|UND_ERR_(?!INVALID)\w+|HPE_\w+)$/;

/**
 * Asks for `url`, through the proxy that the environment names for it, and gives the answer and its bytes as they come to
 * `use`. The connection is closed once `use` has ended, whatever is left of the answer.
 * @throws HttpError; ConfigError for a proxy that is none; the signal's reason; what `use` throws.
 */
export async function request<T>(
  url: URL,
  { method = 'GET', headers, body, redirects = 10, connectTimeout, idleTimeout, signal }: RequestOptions,
  use: (response: Response, chunks: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const attempt = new AbortController();
  const stop = (message: string) => attempt.abort(new HttpError(message, true));
  const failure = (error: unknown) => {
    if (signal?.aborted) return signal.reason;
    if (attempt.signal.aborted) return attempt.signal.reason;
    return error instanceof HttpError || error instanceof ConfigError ? error : networkError(error, url);
  };
  const both = signal ? AbortSignal.any([signal, attempt.signal]) : attempt.signal;
  let timer = setTimeout(() => stop(`did not answer within ${connectTimeout / 1000} s`), connectTimeout);
  try {
    const init = { method, headers, ...(body && { body }), signal: both };
    const response = await redirected(url, init, redirects).catch((error) => {
      throw failure(error);
    });
    clearTimeout(timer);

    const chunks = async function* () {
      const parts = (response.body as unknown as AsyncIterable<Uint8Array> | null)?.[Symbol.asyncIterator]();
      let waited = 0;
      let came = 0;
      while (parts) {
        timer = setTimeout(() => stop(`sent nothing more for ${idleTimeout / 1000} s`), idleTimeout);
        const began = performance.now();
        const { value, done } = await parts.next().catch((error) => {
          throw failure(error);
        });
        clearTimeout(timer);
        if (done) return;
        waited += performance.now() - began;
        came += value.length;
        if (came >= leastBytes) waited = came = 0;
        else if (waited > idleTimeout) {
          throw new HttpError(`sent only ${grouped(came)} bytes in ${Math.round(waited / 1000)} s`, true);
        }
        yield value;
      }
    };
    return await use(response, chunks());
  } catch (error) {
    if (attempt.signal.aborted) hangUp();
    throw error;
  } finally {
    clearTimeout(timer);
    attempt.abort();
  }
}

/** What fetch does, but redirects lead to http and https alone, and never from https to http. */
async function redirected(url: URL, init: RequestInit, most: number): Promise<Response> {
  const fetched = await fetcher();
  for (let at = url, hops = 0; ; hops++) {
    const response = await fetched(at, { ...init, redirect: 'manual' });
    const location = response.headers.get('location');
    if (most === 0 || !redirections.has(response.status) || location === null) return response;
    await response.body?.cancel();
    if (hops === most) throw new HttpError(`redirects more than ${most} times`, false);
    at = redirection(at, location);
  }
}

function redirection(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  // What follows may be a key.
  const shown = to && `${to.protocol}${to.host && `//${to.host}`}`;
  const refused = (why: string) => new HttpError(`redirects to ${why}`, false);
  if (!to) throw refused('what is no address');
  if (to.protocol !== 'https:' && to.protocol !== 'http:') {
    throw refused(`${shown}, and only https and http are followed`);
  }
  if (to.protocol === 'http:' && from.protocol === 'https:') {
    throw refused(`${shown}, and from https only https is followed`);
  }
  if (to.username !== '' || to.password !== '') {
    throw refused(`${shown} with a name or password, which are not sent`);
  }
  return to;
}

type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

let proxied: Promise<{ readonly fetch: Fetch; destroy(): Promise<void> }> | undefined;

/** Node's own fetch; where the environment names proxies, which Node 20 and 22 do not look at, undici's. */
async function fetcher(): Promise<Fetch> {
  const proxies = ['http', 'https'].map(proxyFor).filter((proxy) => proxy !== undefined);
  for (const { variable, value } of proxies) {
    if (!/^https?:$/.test(URL.canParse(value) ? new URL(value).protocol : '')) {
      throw new ConfigError(
        `The environment's ${variable} is no address of an http proxy; expected http://HOST:PORT. Correct it, or unset it.`,
      );
    }
  }
  if (proxies.length === 0) return fetch;
  proxied ??= throughProxies();
  return (await proxied).fetch;
}

async function throughProxies() {
  const { EnvHttpProxyAgent, fetch: fetched, Pool } = await import('undici');
  /** What tunnels are asked of. undici would ask again without end, and for nobody, where the proxy hangs up. */
  class Tunnels extends Pool {
    override connect(options: never): never {
      return this.#connect(super.connect(options) as never) as never;
    }
    async #connect(answer: Promise<Dispatcher.ConnectData>): Promise<Dispatcher.ConnectData> {
      const { statusCode, socket } = await answer.catch((error) => {
        throw error.code === 'UND_ERR_SOCKET' ? new HttpError('cut the connection', true) : error;
      });
      if (statusCode === 200) return answer;
      socket.on('error', () => {}).destroy();
      throw new HttpError(`was not asked: the proxy answered ${statusCode}`, false);
    }
  }
  const dispatcher = new EnvHttpProxyAgent({
    // Of plain http a proxy is asked as it always was: many let CONNECT reach the port of https alone.
    proxyTunnel: false,
    clientFactory: (origin, options) => new Tunnels(origin, options),
  });
  return {
    // One fetch with its own agent: those of other versions need not fit.
    fetch: ((url: URL, init: object) => fetched(url, { ...init, dispatcher })) as unknown as Fetch,
    destroy: () => dispatcher.destroy(),
  };
}

/** Ends what proxies were asked: one that never answers would keep the process. */
function hangUp(): void {
  proxied?.then(({ destroy }) => destroy());
  proxied = undefined;
}

/** What the environment says for a scheme, as undici reads it. */
function proxyFor(scheme: string): { readonly variable: string; readonly value: string } | undefined {
  const names = scheme === 'https' ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy', 'HTTP_PROXY'];
  const variable = names.find((name) => process.env[name] !== undefined);
  const value = variable && process.env[variable];
  if (variable && value) return { variable, value };
  return scheme === 'https' ? proxyFor('http') : undefined;
}

function networkError(error: unknown, url: URL): HttpError {
  const cause = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  const { code, message } = cause;
  const proxy = proxyFor(url.protocol.slice(0, -1));
  // Its name and password are nobody's business.
  const through = proxy ? ` (${proxy.variable} is ${new URL(proxy.value).host})` : '';
  if (message === 'Proxy Authentication Required (407)') {
    return new HttpError(`was not asked: the proxy answered 407${through}`, false, { cause });
  }
  if (cause instanceof HttpError) return new HttpError(cause.message + through, cause.passing, { cause });
  return new HttpError(`${reason(code, message)}${through}`, code !== undefined && passingCodes.test(code), {
    cause,
  });
}

function reason(code: string | undefined, message: string): string {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'is not known by name here (no network?)';
    case 'ECONNREFUSED':
      return 'refused the connection';
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
      return 'cannot be reached (no network?)';
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
      return 'cut the connection';
    default:
      return `failed (${message || code})`;
  }
}
