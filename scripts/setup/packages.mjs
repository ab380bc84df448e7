import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mayInstall, npm, root, SetupError, say } from './run.mjs';

/** node_modules as package-lock.json says. */
export const packages = {
  isDone() {
    return isInstalled(root);
  },
  make() {
    if (!mayInstall()) {
      throw new SetupError(
        'The packages in node_modules are missing or not those of package-lock.json, and SAE_NO_INSTALL is set. Run: npm ci --include=dev',
      );
    }
    say('Installing the packages (npm ci) ...');
    // With the development packages whatever NODE_ENV says: TypeScript and the digits are among them.
    // With npm's errors even in `npm start --silent`.
    if (!npm('ci', '--include=dev', '--loglevel=error')) {
      throw new SetupError(
        'The packages could not be installed; npm says why above. Mend that (is there a network?) and run this again.',
      );
    }
  },
};

/** Whether a folder's node_modules is as its package-lock.json says. */
export function isInstalled(folder) {
  const locked = readLock(join(folder, 'package-lock.json'));
  const installed = readLock(join(folder, 'node_modules/.package-lock.json'));
  return locked !== undefined && installed !== undefined && sameAsLocked(folder, locked, installed);
}

/** The packages of a lock-file by their folders, or undefined where there is none. npm ci writes node_modules' own last. */
function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** Only packages for another system may be absent, only those of the lock-file present. */
function sameAsLocked(root, locked, installed) {
  for (const [folder, { version, integrity, optional }] of Object.entries(locked)) {
    if (folder === '') continue;
    const found = installed[folder];
    if (!found) {
      if (optional) continue;
      return false;
    }
    if (found.version !== version || found.integrity !== integrity) return false;
    // Carried over from another system, or taken away since.
    if (!suits(found.os, process.platform) || !suits(found.cpu, process.arch)) return false;
    if (!existsSync(join(root, folder, 'package.json'))) return false;
  }
  return Object.keys(installed).every((folder) => folder in locked);
}

/** npm's `os` and `cpu`: names, or names with an exclamation mark for all others. */
function suits(names, own) {
  if (!names || names.includes(`!${own}`)) return !names;
  return names.includes(own) || names.every((name) => name.startsWith('!'));
}
