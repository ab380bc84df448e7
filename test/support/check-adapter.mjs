// Makes the checks of the adapter, of which `sae` makes those that are missing, once for all tests that run it: half of them in a
// process each, since nearly all their time is Mesa's compiler, which uses one core. `check-adapter.mjs HALF` makes a half, and prints
// the names of those that were passed.
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { checkDevice, checkNames, openGpu, passedChecks } from '../../dist/node/index.js';

const halves = 2;
const half = process.argv[2];
const gpu = await openGpu({ tune: 'off' });
const passed = await passedChecks.of(gpu);
const names = checkNames(gpu, { passed });
if (half !== undefined) {
  const others = names.filter((_, i) => i % halves !== Number(half));
  const own = [];
  for await (const { name, ok } of checkDevice(gpu, { passed: new Set([...passed, ...others]) })) {
    if (ok) own.push(name);
  }
  console.log(JSON.stringify(own));
} else if (names.length > 0) {
  const own = await Promise.all(Array.from({ length: halves }, (_, i) => passedOf(i)));
  await passedChecks.remember(
    gpu,
    own.flat().map((name) => ({ name, ok: true })),
  );
}
gpu.close();

/** @returns {Promise<string[]>} */
async function passedOf(half) {
  const arguments_ = [fileURLToPath(import.meta.url), `${half}`];
  const { stdout } = spawn(process.execPath, arguments_, { stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(await text(stdout));
}
