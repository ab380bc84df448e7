import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect } from 'vitest';

export const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
export const digitsFile = fileURLToPath(new URL('../../dist/data/mnist-10k.idx.gz', import.meta.url));
/** A process that is still there after this long hangs. */
export const hangs = 60_000;

export interface Result {
  /** Null where a signal ended the process. */
  readonly status: number | null;
  readonly stdout: string;
  /** Without the two lines that Dawn prints on Vulkan whenever it starts. */
  readonly stderr: string;
}

/** A running `sae`. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Result>;
  /** Waits until standard output and standard error together match. */
  readonly says: (pattern: RegExp) => Promise<void>;
}

const withoutDawn = (text: string) => text.replace(/^Warning: maxDynamic.*\n/gm, '');

interface Options {
  readonly cwd: string;
  readonly env?: Record<string, string>;
  /** Options of Node itself. */
  readonly node?: readonly string[];
  /** Has a shell run it, as npm does. */
  readonly shell?: boolean;
  /** What the shell runs before. */
  readonly before?: string;
  /** What comes on standard input. */
  readonly input?: Uint8Array;
}

export function start(
  args: readonly string[],
  { cwd, env = {}, node = [], shell = false, before = ':', input }: Options,
): Running {
  const { DEBUG: _, ...inherited } = process.env;
  const words = [process.execPath, ...node, main, ...args];
  const [command, ...rest] = shell ? ['sh', '-c', `${before}; "$0" "$@"; exit`, ...words] : words;
  const child = spawn(command, rest, {
    cwd,
    env: { ...inherited, ...env },
    stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  child.stdin?.end(input);
  let stdout = '';
  let stderr = '';
  let told = () => {};
  child.stdout!.setEncoding('utf8').on('data', (text) => {
    stdout += text;
    told();
  });
  child.stderr!.setEncoding('utf8').on('data', (text) => {
    stderr += text;
    told();
  });
  const ended = new Promise<Result>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`sae ${args.join(' ')} hangs. It said:\n${stdout}${stderr}`));
    }, hangs);
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, stdout, stderr: withoutDawn(stderr) });
    });
  });
  const says = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      told = () => {
        if (pattern.test(stdout + stderr)) resolve();
      };
      told();
      ended.then(() => reject(new Error(`sae ended without ${pattern}:\n${stdout}${stderr}`)), reject);
    });
  return { child, ended, says };
}

/** After so many command lines their process ends, which it must do by itself: none of them may hold it. */
const mostRuns = 300;

/** The process in which `sae` runs the command lines of test files, one after another. */
class Host {
  /** What the process itself writes, not the commands in it: the two lines of Dawn. */
  said = '';
  runs = 0;
  readonly #child: ChildProcess;
  #last: Promise<unknown> = Promise.resolve();

  constructor() {
    // Neither Node's options of the test's own process nor that it was started by npm, whose end a run looks out for.
    const { DEBUG: _, npm_lifecycle_event: _n, ...env } = process.env;
    const script = fileURLToPath(new URL('host.mjs', import.meta.url));
    this.#child = fork(script, { execArgv: [], env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.said += text;
      });
    }
  }

  run(args: readonly string[], cwd: string): Promise<Result> {
    const result = this.#last.then(() => this.#run(args, cwd));
    this.#last = result.catch(() => {});
    return result;
  }

  async #run(args: readonly string[], cwd: string): Promise<Result> {
    const gone = new AbortController();
    const fail = (what: string) => gone.abort(new Error(`sae ${args.join(' ')} ${what}\n${this.said}`));
    const ended = () => fail('ended the process that runs it.');
    this.runs += 1;
    const timer = setTimeout(() => {
      this.#child.kill('SIGKILL');
      fail('hangs.');
    }, hangs);
    this.#child.once('exit', ended);
    try {
      this.#child.send({ args, cwd });
      const [result] = await once(this.#child, 'message', { signal: gone.signal });
      return result;
    } catch (error) {
      host = undefined;
      throw gone.signal.aborted ? gone.signal.reason : error;
    } finally {
      clearTimeout(timer);
      this.#child.off('exit', ended);
    }
  }

  /** Lets the process end by itself, which it must do. */
  async end(): Promise<void> {
    const child = this.#child;
    const timer = setTimeout(() => child.kill('SIGKILL'), hangs);
    const ends = [child, child.stdout!, child.stderr!].map((one, i) => once(one, i === 0 ? 'exit' : 'close'));
    child.disconnect();
    const [[status]] = await Promise.all(ends);
    clearTimeout(timer);
    expect([status, withoutDawn(this.said)]).toEqual([0, '']);
  }
}

let host: Host | undefined;

/** What becomes of the process after a test file. Where it serves the next one, it ends with the test's own process at last. */
async function leaveHost(): Promise<void> {
  if (!host) return;
  if (host.runs >= mostRuns) {
    const last = host;
    host = undefined;
    await last.end();
  } else {
    expect(withoutDawn(host.said)).toBe('');
  }
}

/**
 * Runs `sae` to its end in a folder: in a process of its own only where the options ask for something that only such a one can
 * have.
 */
export function sae(args: readonly string[], options: Options): Promise<Result> {
  const { cwd, ...own } = options;
  if (Object.keys(own).length > 0) {
    return start(args, options).ended;
  }
  host ??= new Host();
  return host.run(args, cwd);
}

/** Runs `sae`, which must succeed and say nothing on standard error; gives what it printed. */
export async function succeeds(args: readonly string[], options: Options): Promise<string> {
  const result = await sae(args, options);
  expect(result).toEqual({ status: 0, stdout: result.stdout, stderr: '' });
  return result.stdout;
}

/** What --json printed, each line of which must be an object. */
export function objects(lines: string): Record<string, unknown>[] {
  return lines
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** An epoch's or held-out rows' figures, with nothing in the place of those that the clock decides. */
export function figures(line: Record<string, unknown>): Record<string, unknown> {
  const byTheClock = ['samples_per_second', 'seconds', 'first_step_seconds'];
  return Object.fromEntries(
    Object.entries(line).map(([name, value]) => [name, byTheClock.includes(name) ? undefined : value]),
  );
}

/** A folder for one test file; `make` gives an empty one inside, for a run. */
export function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'sae-cli-'));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  afterAll(leaveHost);
  return {
    path,
    make: () => mkdtempSync(join(path, 'run-')),
    write(name: string, bytes: Uint8Array | string): string {
      writeFileSync(join(path, name), bytes);
      return join(path, name);
    },
  };
}

/** All files in a folder and those below it; empty folders do not count. */
export function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** The bytes of a .npy file. */
export function npy(shape: readonly number[], values: Uint8Array | Float32Array): Buffer {
  const descr = values instanceof Uint8Array ? '|u1' : '<f4';
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`;
  const header = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${text.padEnd(117)}\n`, 'latin1');
  header.writeUInt16LE(118, 8);
  return Buffer.concat([header, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)]);
}

/** The bytes of a safetensors file of 8-bit tensors. */
export function tensorsFile(
  tensors: Readonly<Record<string, readonly [shape: readonly number[], values: Uint8Array]>>,
): Buffer {
  const header: Record<string, object> = {};
  let end = 0;
  for (const [name, [shape, { length }]] of Object.entries(tensors)) {
    header[name] = { dtype: 'U8', shape, data_offsets: [end, end + length] };
    end += length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...Object.values(tensors).map(([, values]) => values)]);
}

/** The bytes of an IDX file of bytes. */
export function idx(shape: readonly number[], values: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((length, i) => {
    header.writeUInt32BE(length, 4 + 4 * i);
  });
  return Buffer.concat([header, values]);
}

/** Bytes that follow no simple pattern, the same each time. */
export function bytes(count: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: count }, () => {
    state = (state * 48_271) % 0x7fffffff;
    return state >> 8;
  });
}

/** A model file taken apart by hand, after the safetensors specification. */
export function readSafetensors(file: string) {
  const content = readFileSync(file);
  const begin = 8 + Number(content.readBigUInt64LE(0));
  const { __metadata__: metadata, ...entries } = JSON.parse(content.toString('utf8', 8, begin));
  const tensors: Record<string, Float32Array> = {};
  for (const [name, { data_offsets }] of Object.entries<{ data_offsets: [number, number] }>(entries)) {
    const [first, end] = data_offsets;
    tensors[name] = new Float32Array(Uint8Array.from(content.subarray(begin + first, begin + end)).buffer);
  }
  return { metadata: metadata as Record<string, string>, tensors };
}
