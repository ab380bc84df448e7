import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { npm, root, SetupError, say } from './run.mjs';

/** Holds what the sources were when dist was last built, written after a build that succeeded. */
const stamp = join(root, 'dist/.built');
const digits = join(root, 'dist/data/mnist-10k.idx.gz');

/** dist, built from these sources. Told by content, not by time: clones, copies and containers change times at will. */
export const build = {
  isDone() {
    return existsSync(digits) && outputs().every(existsSync) && readText(stamp) === fingerprint(inputs());
  },
  make() {
    say('Building ...');
    rmSync(stamp, { force: true });
    // tsc trusts its own notes and would not miss an output that is gone or cut short.
    for (const room of folders(join(root, 'dist')))
      rmSync(join(root, 'dist', room, '.tsbuildinfo'), { force: true });
    const built = fingerprint(inputs()); // before: a file saved while tsc runs is built next time
    if (!npm('run', '--silent', 'build')) {
      throw new SetupError('The build failed; the messages above say where.');
    }
    mkdirSync(join(root, 'dist'), { recursive: true });
    writeFileSync(stamp, built);
  },
};

/** The build's inputs. Shaders are none: they are read where they are. */
function inputs() {
  const others = [
    'tsconfig.json',
    'vite.report.config.ts',
    'scripts/pack-mnist-10k.mjs',
    'scripts/licenses.mjs',
  ];
  const sources = filesIn('src').filter((path) => /\.(ts|json)$/.test(path) || isOfReport(path));
  return [...sources, ...others, 'package.json', 'package-lock.json'];
}

/** The files of a folder in the root and of those in it, sorted. */
export function filesIn(folder) {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

/** What these files of the root hold, told apart. */
export function fingerprint(paths) {
  const hash = createHash('sha256');
  for (const path of paths) {
    const content = readText(join(root, path)) ?? '';
    hash.update(`${path}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** What tsc makes of each source file; those of the page and of reports are bundled by Vite. */
function outputs() {
  const compiled = inputs()
    .filter((path) => /^src.*(?<!\.d)\.ts$/.test(path))
    .filter((path) => !path.startsWith(join('src', 'web')) && !isOfReport(path))
    .map((path) => join(root, path.replace(/^src/, 'dist').replace(/\.ts$/, '.js')));
  return [...compiled, join(root, 'dist/report/template.html')];
}

function isOfReport(path) {
  return path.startsWith(join('src', 'report'));
}

export function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function folders(path) {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}
