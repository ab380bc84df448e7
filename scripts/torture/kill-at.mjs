// For `node --import`: kills the process at one of the calls by which it changes a store, or what is on its way there: before or after the
// call. It is told by the environment: TORTURE_KILL, as {"folder": "/...", "nth": 3, "after": true, "child": true}.
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const { folder, nth, after, child } = JSON.parse(process.env.TORTURE_KILL ?? '{}');
let calls = 0;

/** Does something, and counts it. */
async function counted(work) {
  calls += 1;
  const isLast = calls === nth;
  if (isLast && !after) process.kill(process.pid, 'SIGKILL');
  const done = await work();
  if (isLast) process.kill(process.pid, 'SIGKILL');
  return done;
}

// The process of an adapter, or the one that began it.
if (folder && child === /group-process/.test(process.argv[1] ?? '')) {
  for (const name of ['link', 'open', 'rename', 'rm']) {
    const own = fs[name];
    fs[name] = (...args) => {
      const isThere = [args[0], args[1]].some((path) => typeof path === 'string' && path.startsWith(folder));
      return isThere ? counted(() => own(...args)) : own(...args);
    };
  }
  syncBuiltinESMExports();
  const own = globalThis.fetch;
  globalThis.fetch = (...args) => counted(() => own(...args));
}
