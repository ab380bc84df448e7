import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

// Watches which files readers ask the system for. Programs that are loaded on the way are no data.

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const programs = ['dist', 'node_modules', 'test/fuzz', 'package.json'].map((name) => resolve(root, name));

let allowed;
const outside = new Set();

/** From now on nothing but what is in the folder may be asked for. @param folder undefined ends it. */
export function watchPaths(folder) {
  allowed = folder;
  outside.clear();
}

/** What was asked for beyond it. */
export function pathsOutside() {
  return [...outside];
}

function look(path) {
  if (allowed === undefined || (typeof path !== 'string' && !Buffer.isBuffer(path) && !(path instanceof URL)))
    return;
  const full = resolve(path instanceof URL ? fileURLToPath(path) : String(path));
  const within = (folder) => full === folder || full.startsWith(folder + sep);
  if (full !== '/dev/null' && ![allowed, ...programs].some(within)) outside.add(full);
}

function watch(functions, names) {
  for (const name of names) {
    const own = functions[name];
    functions[name] = Object.assign(function (path, ...others) {
      look(path);
      return own.call(this, path, ...others);
    }, own);
  }
}

const both = ['open', 'readFile', 'readdir', 'opendir', 'writeFile', 'rm', 'mkdir', 'unlink', 'rename'];
watch(fs.promises, both);
watch(fs, [...both, 'createReadStream', 'createWriteStream', ...both.map((name) => `${name}Sync`)]);
syncBuiltinESMExports();
