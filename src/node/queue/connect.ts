import { setTimeout as pause } from 'node:timers/promises';
import type { Redis, RedisOptions } from 'ioredis';
import { EngineError } from '../../gpu/errors.js';
import { ConfigError } from '../../sae/errors.js';

/** Where a queue is. */
export interface Address {
  /** Without a password. */
  readonly name: string;
  /** Of its keys. */
  readonly prefix: string;
  readonly options: RedisOptions;
}

/** @throws ConfigError */
export function parseAddress(text: string): Address {
  // A URL without a host cannot have a password, says their standard; those of sockets do.
  const unix = text.startsWith('unix://');
  const url = parse(unix ? text.replace(/^(unix:\/\/[^/]*@)\//, '$1socket/') : text);
  const [username, password] = [url.username, url.password].map(decoded);
  const path = decoded(url.pathname);
  const number = unix ? (url.searchParams.get('db') ?? '') : path.slice(1);
  if (!/^\d{0,5}$/.test(number)) {
    throw new ConfigError(
      `The number of the queue's database is ${JSON.stringify(number)}, and has to be a whole number from 0, as in redis://host:6379/0.`,
    );
  }
  const credentials = { ...(username && { username }), ...(password && { password }) };
  const place = unix
    ? { path }
    : { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port || 6379) };
  const shown = unix ? path : `${url.hostname}:${url.port || 6379}${number && `/${number}`}`;
  return {
    name: `${url.protocol}//${username && `${username}@`}${shown}`,
    prefix: url.searchParams.get('prefix') || 'bull',
    options: {
      ...credentials,
      ...place,
      db: Number(number),
      ...(url.protocol === 'rediss:' && { tls: {} }),
    },
  };
}

function parse(text: string): URL {
  try {
    return new URL(text);
  } catch {
    // It may have a password, which is not to be shown.
    throw new ConfigError(
      'The address of the queue is not a URL. For example: redis://user:password@host:6379/0, with %2F for a slash in a password.',
    );
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError(
      'The address of the queue has a percent sign that is none of a URL: write %25 for one in a password.',
    );
  }
}

/**
 * Waits for the server's first answer.
 * @param client that does not try again, and was not connected yet
 * @returns what it says of itself
 * @throws EngineError, or ConfigError where waiting would not help
 */
export async function firstAnswer(client: Redis, { name, options }: Address, patience: number) {
  // The rejection says only that the connection is closed.
  let cause: Error | undefined;
  const keep = (error: Error) => {
    cause = error;
  };
  client.on('error', keep);
  const late = new AbortController();
  try {
    const info = client.connect().then(() => client.info());
    // Nobody listens to it after the time is up.
    info.catch(() => {});
    const text = await Promise.race([info, pause(patience, undefined, { signal: late.signal })]);
    if (text === undefined) throw new Error('no answer');
    // The client goes on in database 0 where it was refused another one.
    if (cause) throw cause;
    return new Map([...text.matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, key, value]) => [key, value]));
  } catch (error) {
    client.disconnect();
    throw refusal(name, cause ?? (error as Error), options, patience);
  } finally {
    late.abort();
    client.off('error', keep);
  }
}

/** Why a server cannot be used, in a sentence. */
function refusal(name: string, error: Error, options: RedisOptions, patience: number): EngineError {
  const { code = '' } = error as NodeJS.ErrnoException;
  const { message } = error;
  const cause = { cause: error };
  const tls = options.tls !== undefined;
  if (/^WRONGPASS|invalid (username-)?password/i.test(message)) {
    return new ConfigError(`The queue ${name} refuses the user name or the password. Check them.`, cause);
  }
  if (message.startsWith('NOAUTH')) {
    return new ConfigError(
      `The queue ${name} wants a password, and there is none in its address: redis://:password@host`,
      cause,
    );
  }
  if (message.startsWith('NOPERM')) {
    return new ConfigError(
      `The queue ${name} does not allow its user what is needed: ${message}. Its user needs all commands but those of administrators, on the keys of the queue.`,
      cause,
    );
  }
  if (message.includes('DB index is out of range')) {
    return new ConfigError(
      `The queue ${name} has no database ${options.db}. Databases are counted from 0.`,
      cause,
    );
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/.test(code)) {
    return new ConfigError(
      `The certificate of the queue ${name} is not accepted: ${message}. For an authority of your own, set NODE_EXTRA_CA_CERTS to its file.`,
      cause,
    );
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) {
    return new ConfigError(
      `The queue ${name} does not answer in TLS (${message.split('\n')[0]}). Without TLS its address begins with redis://`,
      cause,
    );
  }
  const why =
    message === 'no answer' || /timed? ?out/i.test(message)
      ? `no answer within ${patience / 1000} s`
      : (reasons[code] ?? message);
  const hint = tls
    ? 'Is it running, and does it speak TLS on that port?'
    : code === 'ECONNRESET' || message === 'Connection is closed.'
      ? 'Does it want TLS there? Then its address begins with rediss://'
      : 'Is it running, and is the address right?';
  return new EngineError(`The queue ${name} cannot be reached: ${why}. ${hint}`, cause);
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'its name could not be resolved',
  EHOSTUNREACH: 'there is no way to its host',
  ENETUNREACH: 'there is no way to its network',
  ENOENT: 'there is no such socket',
  EACCES: 'this user may not open its socket',
};

/**
 * Refuses a server on which jobs would be lost or cannot be handed out, and notes what is unwise.
 * @param info what it says of itself
 * @throws ConfigError
 */
export function checkServer(
  name: string,
  info: ReadonlyMap<string, string>,
  note: (sentence: string) => void,
): void {
  const said = (key: string) => info.get(key) ?? '';
  const version = said('redis_version');
  const [major, minor] = version.split('.').map(Number);
  if (!(major > 6 || (major === 6 && minor >= 2))) {
    throw new ConfigError(
      `The queue ${name} is a server of version ${version || '?'}, and Redis 6.2 or later, or Valkey, is needed.`,
    );
  }
  // Valkey's own name for it is the second.
  const mode = said('redis_mode') || said('server_mode');
  if (mode !== 'standalone' || said('role') === 'slave') {
    const what =
      said('role') === 'slave' ? 'a replica, which takes no writes' : `a server in the mode ${mode}`;
    throw new ConfigError(`The queue ${name} is ${what}. Name a server that stands alone, or the primary.`);
  }
  const policy = said('maxmemory_policy');
  if (policy !== 'noeviction') {
    throw new ConfigError(
      `The queue ${name} throws away keys when its memory is full (maxmemory-policy ${policy}), and jobs with them. Set maxmemory-policy to noeviction.`,
    );
  }
  if (said('aof_enabled') === '0') {
    note(
      `The queue ${name} keeps its jobs in memory only (appendonly no): should its server end, they are to be added again. Set appendonly to yes.`,
    );
  }
}
