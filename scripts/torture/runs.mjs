// Starts trainings, and knows what one gives that nothing disturbs.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { argsOf, outcome, prepare } from './jobs.mjs';

export const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** Milliseconds after which a process hangs, on a machine that others use, too. */
export const hangs = 300_000;

/** Without what Dawn prints on Vulkan whenever it starts. */
const withoutDawn = (text) => text.replace(/^Warning: maxDynamic.*\r?\n/gm, '');

export function environment(cwd, env = {}) {
  const { DEBUG: _, npm_lifecycle_event: _n, ...inherited } = process.env;
  return { ...inherited, TMPDIR: join(cwd, 'tmp'), ...env };
}

/** Starts `sae`. @returns its process, what it has said so far, and a promise of its end: { status, signal, stdout, stderr, hung }. */
export function start(args, how) {
  const {
    cwd,
    env,
    node = [],
    command = process.execPath,
    before = [],
    program = main,
    patience = hangs,
  } = how;
  const words = [...before, ...node, program, ...args];
  const child = spawn(command, words, { cwd, env: environment(cwd, env), stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      said[name] += text;
    });
  }
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child.kill('SIGKILL');
  }, patience);
  const ended = new Promise((resolve) => {
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, stdout: said.stdout, stderr: withoutDawn(said.stderr), hung });
    });
  });
  return { child, said, ended };
}

/** Whether a process is there that is not dead. Those whose parent died may wait in the table for ever. */
export function lives(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^[ZX]$/.test(text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3));
  } catch {
    return false;
  }
}

const expected = new Map();

/** What a job leaves that nothing disturbs. */
export function undisturbed(folder, job, how) {
  const key = JSON.stringify([job, how?.batch_size]);
  if (!expected.has(key)) expected.set(key, runUndisturbed(folder, job, how));
  return expected.get(key);
}

async function runUndisturbed(folder, job, { batch_size } = {}) {
  const cwd = await mkdtemp(join(folder, 'undisturbed-'));
  prepare(cwd);
  const begun = performance.now();
  const { status, stderr } = await start(argsOf(job, { batch_size }), { cwd }).ended;
  if (status !== 0) throw new Error(`A run that nothing disturbs ended with ${status}: ${stderr}`);
  return { outcome: outcome(cwd), milliseconds: performance.now() - begun, cwd };
}

/** What differs between the results of a run and those of one that nothing disturbed. */
export function differences(cwd, { outcome: wanted }) {
  const found = outcome(cwd);
  return Object.keys({ ...wanted, ...found }).filter((file) => found[file] !== wanted[file]);
}

/** What is wrong with how a run ended that something went wrong in: a sentence is expected, and no more. */
export function unspoken({ status, stderr, hung }) {
  if (hung) return 'it hangs';
  if (/Unexpected error|^\s+at |node:internal|Node\.js v/m.test(stderr))
    return `it says: ${stderr.trim().slice(0, 600)}`;
  const sentences = stderr.match(/^sae: /gm)?.length ?? 0;
  if (status === 0 && sentences > 0) return `status 0, and it says: ${stderr.trim()}`;
  if (status === 1 && sentences !== 1)
    return `status 1, and ${sentences} sentences: ${stderr.trim().slice(0, 600)}`;
  return undefined;
}
