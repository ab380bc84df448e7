// npm run test:fleet [-- FILES]: tests of a fleet against real servers (test/fleet). A server is a file in scripts/fleet/ and a line
// below; one that cannot be had here is said, and the tests of it are skipped.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import * as faketime from './fleet/faketime.mjs';
import * as network from './fleet/network.mjs';
import * as radosgw from './fleet/radosgw.mjs';
import * as redis from './fleet/redis.mjs';
import * as slurm from './fleet/slurm.mjs';
import * as valkey from './fleet/valkey.mjs';
import { root, say } from './setup/run.mjs';

/** Each has `name` and `start()`, which installs it where it is missing and gives what tests have in their environment, and `stop()`. */
const parts = [radosgw, redis, valkey, network, slurm, faketime];

// Ctrl-C reaches the tests as well; what was started here is stopped when they have ended.
process.on('SIGINT', () => {});
const started = [];
const env = {};
const missing = [];
try {
  for (const part of parts) {
    try {
      const one = await part.start();
      started.push(one);
      Object.assign(env, one.env);
    } catch (error) {
      missing.push(part.name);
      say(`${part.name} cannot be had here: ${error.message}`);
    }
  }
  process.exitCode = await test();
} finally {
  for (const one of started.reverse()) await one.stop();
  if (missing.length > 0) {
    say(`Not tested: ${missing.join(', ')}.`);
    process.exitCode ||= 1;
  }
}

/** @returns {Promise<number>} the status of the tests */
function test() {
  const files = process.argv.length > 2 ? process.argv.slice(2) : ['test/fleet'];
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  // Node reads authorities when it starts.
  const certificate = join(root, 'test/fixtures/tls/cert.pem');
  const child = spawn(process.execPath, [vitest, 'run', '--mode', 'fleet', ...files], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env, NODE_EXTRA_CA_CERTS: certificate },
  });
  return new Promise((resolve) => child.on('close', (status) => resolve(status ?? 1)));
}
