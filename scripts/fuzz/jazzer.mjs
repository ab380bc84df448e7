import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { isInstalled } from '../setup/packages.mjs';
import { mayInstall, root, say } from '../setup/run.mjs';
import { installIn } from '../setup/runtimes.mjs';
import { makeLoadable } from './glibc.mjs';

const folder = join(root, 'test/fuzz');

/**
 * How Jazzer.js is called, which is installed where it is missing (30 MB). Says what was done for it.
 * @param work a folder for what is made on the way.
 * @returns undefined where it cannot be had: inputs are then mutated without looking at what they do.
 */
export function jazzer(work) {
  const without = (why) => {
    say(`${why} Inputs are mutated without coverage.`);
    return undefined;
  };
  if (!isInstalled(folder)) {
    if (!mayInstall()) return without('Jazzer.js is not installed, and SAE_NO_INSTALL is set.');
    say('Installing Jazzer.js (npm ci in test/fuzz) ...');
    if (!installIn(folder)) return without('Jazzer.js could not be installed; npm says why above.');
  }
  const command = [process.execPath, join(folder, 'node_modules/@jazzer.js/core/dist/cli.js')];
  if (loads(command, {})) return { command, env: {} };
  const binary = join(
    folder,
    `node_modules/@jazzer.js/fuzzer/prebuilds/fuzzer-${process.platform}-${process.arch}.node`,
  );
  const library = process.platform === 'linux' ? makeLoadable(binary, work) : undefined;
  const env = { LD_PRELOAD: library };
  if (library === undefined || !loads(command, env)) {
    return without(
      "Jazzer.js's binary does not load on this system, and could not be made to with a C compiler (cc).",
    );
  }
  say(
    "Jazzer.js's binary needs a newer C library than this system's: three functions of it are preloaded instead.",
  );
  return { command, env };
}

/** Whether it starts, with all functions that it will call. */
function loads([program, ...args], env) {
  const all = { ...process.env, ...env, LD_BIND_NOW: '1' };
  return spawnSync(program, [...args, '--help'], { env: all, stdio: 'ignore' }).status === 0;
}
