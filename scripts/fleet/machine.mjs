// What the parts of the fleet's test bed share: Debian packages, free ports, servers that end.
import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { addBackports, hasBackports, install, removeBackports } from '../setup/apt.mjs';
import { isRoot, mayInstall, SetupError } from '../setup/run.mjs';
import { readSystem } from '../setup/system.mjs';

/** Where a program is, if it is installed. @param {string} program @returns {string | undefined} */
export function find(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/bin', '/sbin'];
  return folders
    .map((folder) => join(folder, program))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/**
 * Installs what a part needs, unless it is there.
 * @param {readonly string[]} programs which are to be found then
 * @param {string[]} packages of Debian
 * @param {{ backports?: boolean }} [where] whether Debian 12 has them in its backports only
 */
export function need(programs, packages, { backports = false } = {}) {
  if (programs.every(find)) return;
  const { id, version, codename } = readSystem();
  const wanted = packages.join(' ');
  if (!isRoot() || !mayInstall() || !['debian', 'ubuntu'].includes(id)) {
    throw new SetupError(
      `${programs.join(' and ')} are needed and not installed; on Debian or Ubuntu, as root: apt-get install ${wanted}`,
    );
  }
  const suite = backports && id === 'debian' && version === '12' ? `${codename}-backports` : undefined;
  const adds = suite !== undefined && !hasBackports(suite);
  if (adds) addBackports(suite, codename);
  try {
    install(packages, suite);
  } catch (error) {
    // A mirror without that suite would fail every later update of this machine.
    if (adds) removeBackports();
    throw error;
  }
}

/** A port of 127.0.0.1 that nobody has at this moment. @returns {Promise<number>} */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

/**
 * Starts a server that writes into a log, in a session of its own: Ctrl-C does not reach it.
 * @param {readonly string[]} command
 * @param {string} log
 */
export function launch([program, ...args], log, env = {}) {
  const output = openSync(log, 'a');
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', output, output],
    env: { ...process.env, ...env },
  });
  closeSync(output);
  let ended = false;
  const end = new Promise((resolve) => {
    for (const event of ['exit', 'error']) child.once(event, resolve);
  });
  end.then(() => {
    ended = true;
  });
  // One that is forgotten, as after a failure of its test, does not live longer than who started it.
  const forgotten = () => child.kill('SIGKILL');
  process.once('exit', forgotten);
  end.then(() => process.off('exit', forgotten));
  return {
    pid: /** @type {number} */ (child.pid),
    ended: () => ended,
    /** @param {NodeJS.Signals} signal Ends it, at the latest by force. */
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await end;
      clearTimeout(late);
    },
  };
}

/**
 * Waits until something is so.
 * @param {string} what as the message of a failure says
 * @param {() => unknown} holds a promise too
 * @param {{ seconds?: number, every?: number, log?: string }} [how] with the file that says why not, and milliseconds between two looks
 */
export async function until(what, holds, { seconds = 30, every = 50, log } = {}) {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    if (await holds()) return;
    if (performance.now() > end) {
      const said = log ? `\n${readFileSync(log, 'utf8').split('\n').slice(-15).join('\n')}` : '';
      throw new Error(`${what} was waited for in vain for ${seconds} s.${said}`);
    }
    await pause(every);
  }
}
