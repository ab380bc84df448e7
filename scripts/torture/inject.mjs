// For `node --import`: counts what a process asks of the file system below one folder, and lets one of these calls fail. It is told by
// the environment: TORTURE_FOLDER; TORTURE_FAULT, as {"place": {...}, "nth": 1, "code": "EIO"}; TORTURE_CALLS, the file that gets a line for each call.
// In test/cli/host.mjs, which runs several commands, the message of each one has `fault` and `calls` in their place.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { constants } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('../../', import.meta.url));
const { appendFileSync, realpathSync } = fs;

const names = [
  'access',
  'appendFile',
  'close',
  'copyFile',
  'exists',
  'fstat',
  'fsync',
  'ftruncate',
  'link',
  'lstat',
  'mkdir',
];
names.push(
  'mkdtemp',
  'open',
  'read',
  'readFile',
  'readdir',
  'readlink',
  'realpath',
  'rename',
  'rm',
  'rmdir',
  'stat',
  'statfs',
);
names.push('symlink', 'truncate', 'unlink', 'utimes', 'write', 'writeFile');
const ofHandles = [
  'appendFile',
  'datasync',
  'read',
  'readFile',
  'stat',
  'sync',
  'truncate',
  'write',
  'writeFile',
  'writev',
];

/** Paths of open files by their descriptors. */
const open = new Map();
let folder = '';
let fault;
let log;
/** How often each place was come to. */
const counts = new Map();
/** Some functions call others of these. */
let inside = false;

/**
 * Counts from 0 again.
 * @param {string} of the folder. @param {{ place: object, nth: number, code: string }} [toFail] @param {string} [into] a file for all calls.
 */
export function arm(of, toFail, into) {
  folder = `${realpathSync(of)}/`;
  fault = toFail;
  log = into;
  counts.clear();
}

/** The error of this call, if it is the one that fails. */
function failing(call, path) {
  const own = typeof path === 'number' ? open.get(path) : path instanceof URL ? fileURLToPath(path) : path;
  if (!folder || inside || typeof own !== 'string') return undefined;
  const place = resolve(own);
  if (!`${place}/`.startsWith(folder)) return undefined;
  const told = { call, path: nameless(relative(folder, place)), from: caller() };
  const key = keyOf(told);
  const nth = (counts.get(key) ?? 0) + 1;
  counts.set(key, nth);
  const fails = fault !== undefined && fault.nth === nth && key === keyOf(fault.place);
  if (log) {
    inside = true;
    appendFileSync(log, `${JSON.stringify({ ...told, fails })}\n`);
    inside = false;
  }
  if (!fails) return undefined;
  const errno = -(constants.errno[fault.code] ?? 5);
  const error = new Error(`${fault.code}: injected, ${call} '${own}'`);
  return Object.assign(error, { errno, code: fault.code, syscall: call, path: own });
}

const keyOf = ({ call, path, from }) => `${call} ${path} ${from}`;

/** A path without what is drawn at random. */
function nameless(path) {
  return path
    .replace(/[0-9a-f]{8}[0-9-]*(?=\.tmp$)/, '*')
    .replace(/(sae-(?:fonts-|rows-)?)[\w-]+(?=\/|$)/, '$1*')
    .replace(/tfevents.*/, 'tfevents');
}

/** The line of this program that asked. */
function caller() {
  for (const line of new Error().stack.split('\n')) {
    const [, own, where, at] = /([^( ]*\/)(?:dist|src)\/([^?:)]+)(?:\?\d+)?:(\d+)/.exec(line) ?? [];
    if (own?.endsWith(project)) return `${where}:${at}`;
  }
  return 'a library';
}

/** What a call did although it fails: a file is closed in any case, and writes are cut short. */
function half(call, original, self, args) {
  if (/^(close|closeSync)$/.test(call)) return original.apply(self, args);
  if (/^(write|writeSync|writeFile|writeFileSync|appendFile|appendFileSync)$/.test(call)) {
    const at = self instanceof Handle ? 0 : 1;
    const bytes = Buffer.from(args[at]);
    const cut = [...args];
    cut[at] = bytes.subarray(0, bytes.length >> 1);
    return original.apply(self, cut);
  }
  // As a network folder does that loses the answer.
  if (fault.code === 'ESTALE' && /^(rename|link|mkdir|rm|unlink)/.test(call))
    return original.apply(self, args);
  return undefined;
}

const wrapped = (original, wrapper) =>
  Object.defineProperties(wrapper, Object.getOwnPropertyDescriptors(original));

function remember(descriptor, path) {
  open.set(descriptor, String(path));
  return descriptor;
}

/** `close` is no method of the prototype. */
function watchHandle(handle, path) {
  remember(handle.fd, path);
  const { close } = handle;
  handle.close = async () => {
    const error = handle.fd < 0 ? undefined : failing('close', handle.fd);
    await close.call(handle);
    if (error) throw error;
  };
}

const handle = await fs.promises.open(fileURLToPath(import.meta.url));
const Handle = handle.constructor;
await handle.close();

for (const name of names) {
  const sync = fs[`${name}Sync`];
  if (sync) {
    fs[`${name}Sync`] = wrapped(sync, function (...args) {
      const error = failing(`${name}Sync`, args[0]);
      const before = inside;
      inside = true;
      try {
        if (error) {
          half(`${name}Sync`, sync, this, args);
          if (name === 'exists') return false;
          throw error;
        }
        const result = sync.apply(this, args);
        if (name === 'readFile') {
          // It closes the file itself, which can fail after all was read. Where it makes text of it, node 20 then aborts.
          inside = before;
          const unclosed = failing('closeSync', args[0]);
          const asText = typeof args[1] === 'string' || args[1]?.encoding;
          if (unclosed && asText) process.abort();
          if (unclosed) throw unclosed;
        }
        return name === 'open' ? remember(result, args[0]) : result;
      } finally {
        inside = before;
      }
    });
  }
  const callback = fs[name];
  if (callback && name !== 'exists') {
    fs[name] = wrapped(callback, function (...args) {
      const error = failing(name, args[0]);
      const answer = args.at(-1);
      if (error) {
        if (name === 'close') callback.call(this, args[0], () => {});
        process.nextTick(answer, error);
        return undefined;
      }
      if (name === 'open') {
        const [path] = args;
        args[args.length - 1] = (failed, descriptor) => {
          answer(failed, failed ? descriptor : remember(descriptor, path));
        };
      }
      return callback.apply(this, args);
    });
  }
  const promised = fs.promises[name];
  if (promised) {
    fs.promises[name] = wrapped(promised, async function (...args) {
      const error = failing(name, args[0]);
      if (error) {
        await Promise.resolve(half(name, promised, this, args)).catch(() => {});
        throw error;
      }
      const result = await promised.apply(this, args);
      if (name === 'open') watchHandle(result, args[0]);
      return result;
    });
  }
}

for (const name of ofHandles) {
  const original = Handle.prototype[name];
  if (!original) continue;
  Handle.prototype[name] = wrapped(original, async function (...args) {
    const error = failing(name, this.fd);
    if (!error) return original.apply(this, args);
    await Promise.resolve(half(name, original, this, args)).catch(() => {});
    throw error;
  });
}
syncBuiltinESMExports();

const { TORTURE_FOLDER, TORTURE_FAULT, TORTURE_CALLS } = process.env;
if (TORTURE_FOLDER) arm(TORTURE_FOLDER, TORTURE_FAULT && JSON.parse(TORTURE_FAULT), TORTURE_CALLS);
// Not before the host listens itself: until somebody does, messages wait.
process.once('newListener', function listen(name) {
  if (name !== 'message') return void process.once('newListener', listen);
  process.on('message', ({ cwd, fault, calls }) => {
    process.env.TMPDIR = join(cwd, 'tmp');
    arm(cwd, fault, calls);
  });
});
