import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { install } from './apt.mjs';
import { isRoot, mayInstall, say } from './run.mjs';
import { readSystem } from './system.mjs';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/**
 * A Chromium for the tests that run the engine in a browser. Installed only from Debian's own package (Ubuntu's is a snap,
 * which needs a running snapd); elsewhere, and where that fails, those tests say that they are skipped.
 */
export const browser = {
  isDone() {
    const wanted = readSystem().id === 'debian' && isRoot() && mayInstall();
    return !wanted || findChromium() !== undefined;
  },
  make() {
    say('No Chromium found: installing it with apt for the tests in a browser (chromium) ...');
    try {
      install(['chromium']);
    } catch (error) {
      say(`${error.message}\nThe tests in a browser will be skipped.`);
    }
  },
};

/** Where on the PATH a Chromium is; undefined where there is none. */
export function findChromium() {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
