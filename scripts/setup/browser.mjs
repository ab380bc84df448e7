import { accessSync, constants, readFileSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { install } from './apt.mjs';
import { isRoot, mayInstall, say } from './run.mjs';
import { readSystem } from './system.mjs';

/**
 * The browsers for the tests that run the engine in one. Installed only from Debian's own packages (Ubuntu's are snaps,
 * which need a running snapd); elsewhere, and where that fails, those tests say that they are skipped.
 */
export const browsers = [
  { name: 'Chromium', debian: 'chromium', find: findChromium },
  { name: 'Firefox', debian: 'firefox-esr', find: findFirefox },
].map(({ name, debian, find }) => ({
  isDone() {
    const wanted = readSystem().id === 'debian' && isRoot() && mayInstall();
    return !wanted || find() !== undefined;
  },
  make() {
    say(`No ${name} found: installing it with apt for the tests in a browser (${debian}) ...`);
    try {
      install([debian]);
    } catch (error) {
      say(`${error.message}\nThe tests in ${name} will be skipped.`);
    }
  },
}));

/** Where on the PATH a Chromium is; undefined where there is none. */
export function findChromium() {
  return findProgram(['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']);
}

/** Where on the PATH a Firefox is that takes a profile from anywhere, which one in a snap does not; undefined where there is none. */
export function findFirefox() {
  return findProgram(['firefox-esr', 'firefox'], (file) => !isSnap(file));
}

function findProgram(names, suits = () => true) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const files = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return files.find((file) => isExecutable(file) && suits(file));
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A link to snap itself, or Ubuntu's script that calls it. */
function isSnap(file) {
  return (
    /\/snap(\/|$)/.test(realpathSync(file)) ||
    readFileSync(file, 'latin1').slice(0, 4096).includes('/snap/bin/')
  );
}
