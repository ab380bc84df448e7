// What the benchmark's JavaScript peers share. Each peer is a process that answers one JSON object a line for one that it is
// asked on standard input: { do: 'prepare', in_dims, h_dims, batch_size }, { do: 'turn', steps } or { do: 'gemm', size, times }.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** As in the command's defaults. */
export const settings = { lr: 1e-4, sparsity_lambda: 0.2, sparsity_target: 0.01 };

/** Values a row of the file of digits. */
const fileWidth = 784;

/** What a peer cannot do, said in a sentence; anything else that is thrown is shown with the place it came from. */
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

/** Dawn where a library looks for a browser's: `navigator.gpu`. Resolves to the adapter's name. @throws Skip */
export async function provideWebGpu() {
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

/** Lets a macrotask run: Dawn frees what is done there. */
export function breathe() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The mean of an array. */
export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
