// For `node --import`: kills the process at one of the calls by which it changes a store, or what is on its way there: before or after the
// call. It is told by the environment: TORTURE_KILL, as {"folder": "/...", "what": "^rename .*sae", "nth": 3, "after": true, "child": true}; what is
// of a call and its path, or of a request and its address. `once` names a file that only the first one who is killed makes.
import { writeFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

const { folder, what = '', nth = 1, after, child, once } = JSON.parse(process.env.TORTURE_KILL ?? '{}');
const pattern = new RegExp(what);
let calls = 0;

function kill() {
  try {
    if (once) writeFileSync(join(folder, once), '', { flag: 'wx' });
    process.kill(process.pid, 'SIGKILL');
  } catch {
    // Another one was.
  }
}

/** Does something, and counts it. */
async function counted(name, work) {
  if (!pattern.test(name)) return work();
  calls += 1;
  const isLast = calls === nth;
  if (isLast && !after) kill();
  const done = await work();
  if (isLast) kill();
  return done;
}

// The process of an adapter, or the one that began it.
if (folder && child === /group-process/.test(process.argv[1] ?? '')) {
  for (const name of ['link', 'open', 'rename', 'rm']) {
    const own = fs[name];
    fs[name] = (...args) => {
      const paths = args.filter((path) => typeof path === 'string' && path.startsWith(folder));
      return paths.length > 0 ? counted(`${name} ${paths.at(-1)}`, () => own(...args)) : own(...args);
    };
  }
  syncBuiltinESMExports();
  const own = globalThis.fetch;
  globalThis.fetch = (url, how, ...rest) =>
    counted(`${how?.method ?? 'GET'} ${url}`, () => own(url, how, ...rest));
}
