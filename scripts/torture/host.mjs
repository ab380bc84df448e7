// Runs commands in which a call fails: each in a process of its own, or many in one, which is several times as fast.
import { fork } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { environment, hangs, start } from './runs.mjs';

/** Words for Node that load the script of this folder which makes calls fail. */
export const injecting = (script) => ['--import', new URL(script, import.meta.url).href];

/** Runs a command in a process of its own. @returns how it ended, and all calls that were counted. */
export async function runAlone(inject, args, cwd, fault) {
  const log = `${cwd}.calls`;
  const env = {
    TORTURE_FOLDER: cwd,
    TORTURE_CALLS: log,
    ...(fault && { TORTURE_FAULT: JSON.stringify(fault) }),
  };
  const ended = await start(args, { cwd, env, node: inject }).ended;
  return { ...ended, calls: callsIn(log) };
}

function callsIn(log) {
  const text = existsSync(log) ? readFileSync(log, 'utf8') : '';
  rmSync(log, { force: true });
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** A process that runs one command after another. */
export class Host {
  #child;
  #said = '';

  /** @param {string[]} inject */
  constructor(inject) {
    this.inject = inject;
  }

  /** The same as `runAlone`, in this process. */
  run = async (args, cwd, fault) => {
    this.#child ??= this.#open();
    const child = this.#child;
    const calls = `${cwd}.calls`;
    child.send({ args, cwd, fault, calls });
    const ended = await new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ hung: true }), hangs);
      const answer = (result) => {
        clearTimeout(timer);
        child.removeAllListeners();
        resolve(result);
      };
      child.once('message', answer);
      child.once('exit', (status) => answer({ status, died: true, stderr: this.#said }));
    });
    if (ended.died || ended.hung) this.close();
    return { stdout: '', stderr: '', ...ended, calls: callsIn(calls) };
  };

  close() {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }

  #open() {
    const script = new URL('../../test/cli/host.mjs', import.meta.url);
    const env = environment('/');
    const child = fork(script, { execArgv: this.inject, env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#said += text;
    });
    return child;
  }
}
