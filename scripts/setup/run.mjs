import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What the set-up cannot do: the message says what is wrong and which command mends it. */
export class SetupError extends Error {}

/** Whether SAE_NO_INSTALL forbids to install packages and drivers. */
export function mayInstall() {
  return !process.env.SAE_NO_INSTALL || process.env.SAE_NO_INSTALL === '0';
}

export function isRoot() {
  return process.getuid?.() === 0;
}

export function say(line) {
  process.stderr.write(`${line}\n`);
}

/** Runs npm in the root, its output on standard error. True where it succeeded. */
export function npm(...args) {
  const [command, first, shell] = npmCommand();
  return spawnSync(command, [...first, ...args], { cwd: root, stdio: ['ignore', 2, 2], shell }).status === 0;
}

/** What npm, run in the root, prints on standard output. @throws SetupError */
export function npmOutput(...args) {
  const [command, first, shell] = npmCommand();
  const options = {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    shell,
    maxBuffer: 2 ** 26,
  };
  const { status, stdout, stderr } = spawnSync(command, [...first, ...args], options);
  if (status !== 0) throw new SetupError(`npm ${args.join(' ')} failed: ${stderr}`);
  return stdout;
}

/** npm's own program where npm runs the script; else the one on the PATH, which is a batch file on Windows. */
function npmCommand() {
  const from = process.env.npm_execpath;
  return from?.endsWith('npm-cli.js')
    ? [process.execPath, [from], false]
    : ['npm', [], process.platform === 'win32'];
}

/**
 * Runs a program quietly; its output, both streams in one, is there to be shown where it fails.
 * @param {string} command
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 * @returns {{ status: number | null, output: string }} no status where a signal ended it or it could not be started
 */
export function quietly(command, args, env = {}) {
  // Into a file: with a pipe, an apt that outlives this process would die of it in the middle of its work.
  const folder = mkdtempSync(join(tmpdir(), 'webgpu-sae-'));
  const file = join(folder, 'output');
  const output = openSync(file, 'w');
  try {
    const { status, error } = spawnSync(command, args, {
      stdio: ['ignore', output, output],
      env: { ...process.env, ...env },
    });
    return { status, output: error ? error.message : readFileSync(file, 'utf8').trim() };
  } finally {
    closeSync(output);
    rmSync(folder, { recursive: true });
  }
}
