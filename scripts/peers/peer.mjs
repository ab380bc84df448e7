// What the benchmark's JavaScript peers share. Each peer is a process that answers one JSON object a line for one that it is
// asked on standard input: { do: 'prepare', in_dims, h_dims, batch_size, k }, { do: 'turn', steps } or { do: 'gemm', size, times }.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** As in the command's defaults. */
export const settings = { lr: 1e-4, sparsity_lambda: 0.2, sparsity_target: 0.01 };
export const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** Steps between two waits for the device. */
const stepsAhead = 25;

/** Values a row of the file of digits. */
const fileWidth = 784;

/** What a peer cannot do, in a sentence; any other error is shown with its stack. */
export class Skip extends Error {}

/**
 * Says hello and then answers requests until standard input ends.
 * @param hello gives versions and the adapter; throws Skip where the peer cannot run.
 * @param answers a function for each request; `gemm` may be absent.
 */
export async function serve(hello, answers) {
  const attempt = async (make) => {
    try {
      say(await make());
    } catch (error) {
      say({ failed: error instanceof Skip ? error.message : firstLine(error) });
      if (process.env.DEBUG === 'sae') console.error(error);
    }
  };
  await attempt(hello);
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    await attempt(() => answers[request.do](request));
  }
  process.exit(0);
}

function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

function firstLine(error) {
  return `${error?.message ?? error}`.split('\n')[0].slice(0, 300);
}

/** The digits' bytes, [rows, in_dims]: the first `in_dims` values of each row of the file that the runner names. */
export function readRows(in_dims) {
  const bytes = new Uint8Array(readFileSync(process.env.SAE_PEER_ROWS));
  const rows = bytes.length / fileWidth;
  if (in_dims === fileWidth) return { rows, data: bytes };
  const data = new Uint8Array(rows * in_dims);
  for (let row = 0; row < rows; row++) {
    data.set(bytes.subarray(row * fileWidth, row * fileWidth + in_dims), row * in_dims);
  }
  return { rows, data };
}

/** As many whole batches of 10,000 rows as there are, each normalised: [batch_size, in_dims]. At least one. */
export function normalizedBatches({ in_dims, batch_size }) {
  const { rows, data } = readRows(in_dims);
  const count = Math.max(1, Math.floor(Math.min(10_000, rows) / batch_size));
  return Array.from({ length: count }, (_, i) => {
    const bytes = data.subarray(i * batch_size * in_dims, (i + 1) * batch_size * in_dims);
    return Float32Array.from(bytes, (value) => (value / 255 - 0.1307) / 0.3081);
  });
}

/** Initial weights [outputs, inputs] and biases, uniform in +-1/sqrt(inputs), always the same: [{ inputs, outputs, weight, bias }]. */
export function initialLayers({ in_dims, h_dims }) {
  const widths = [in_dims, ...h_dims, ...h_dims.slice(0, -1).reverse(), in_dims];
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return widths.slice(1).map((outputs, i) => {
    const inputs = widths[i];
    const uniform = (length) => Float32Array.from({ length }, () => (2 * random() - 1) / Math.sqrt(inputs));
    return { inputs, outputs, weight: uniform(outputs * inputs), bias: uniform(outputs) };
  });
}

/**
 * Loads a library for `webgpu` (which it finds as in a browser, in `navigator.gpu`) or for anything else.
 * @param load imports it and resolves to it.
 * @returns the library and, for WebGPU, the adapter's name. @throws Skip
 */
export async function startLibrary(device, load) {
  const adapter = device === 'webgpu' ? await provideWebGpu() : undefined;
  try {
    return { library: await load(), adapter };
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Skip('its packages are missing: run npm ci in scripts/peers.');
  }
}

async function provideWebGpu() {
  const { create, globals } = await import('webgpu').catch(() => {
    throw new Skip('the package webgpu is missing: run npm ci in the project’s folder.');
  });
  const gpu = create([]);
  globalThis.pinnedGpu = gpu; // collected while in use, Dawn crashes
  Object.assign(globalThis, globals);
  const navigator = { gpu, userAgent: 'Node.js', hardwareConcurrency: 1 };
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Skip('there is no WebGPU adapter. See README.md, "What it needs".');
  return adapterName(adapter);
}

/** An adapter's name as the engine says it. */
function adapterName({ info }) {
  return info.description || info.device || [info.vendor, info.architecture].filter(Boolean).join(' ');
}

/** The version of an installed package, seen from `from` (import.meta.url). */
export function packageVersion(name, from) {
  for (let folder = new URL('.', from); ; folder = new URL('../', folder)) {
    try {
      return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, folder), 'utf8')).version;
    } catch {
      if (folder.pathname === '/' || folder.href === new URL('../', folder).href) return 'unknown';
    }
  }
}

/**
 * Times `steps` training steps. The device always has work, and never more than 2 x 25 steps of it: without waiting, Dawn
 * frees nothing, and TensorFlow.js, which makes 39 mapped buffers a step, runs into Linux's limit of 65,530 mappings
 * a process; Dawn then writes to the address that a failed mmap gives.
 * @param step does some of the steps, at most as many as it is told, and returns their losses on the device.
 * @param finished resolves when what was asked for so far is done.
 * @param read resolves to a loss's value.
 */
export async function timeSteps(steps, step, finished, read) {
  const losses = [];
  let earlier;
  let waits = 1;
  const began = performance.now();
  while (losses.length < steps) {
    losses.push(...step(steps - losses.length));
    if (losses.length >= waits * stepsAhead) {
      waits++;
      await sleepWhilePending(earlier);
      earlier = finished(losses);
    }
  }
  await sleepWhilePending(finished(losses));
  const seconds = (performance.now() - began) / 1000;
  let total = 0;
  for (const loss of losses) total += await read(loss);
  return { seconds, steps, loss: total / steps };
}

/** What several turns of a new model did, as the answer to `prepare`: the seconds are those of its first step. */
export function together(turns) {
  const steps = turns.reduce((sum, turn) => sum + turn.steps, 0);
  const loss = turns.reduce((sum, turn) => sum + turn.loss * turn.steps, 0) / steps;
  return { seconds: turns[0].seconds, steps, loss };
}

const nothing = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits for a promise of Dawn's, and puts the thread to sleep in every turn of the event loop meanwhile: Dawn polls the driver
 * in each of them, and would keep a core busy that a software adapter could use.
 */
export async function sleepWhilePending(promise) {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  Promise.resolve(promise).then(settle, settle);
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve));
    if (settled) return promise;
    Atomics.wait(nothing, 0, 0, 0.5);
  }
}
