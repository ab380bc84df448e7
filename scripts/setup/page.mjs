import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesIn, fingerprint, readText } from './build.mjs';
import { root, SetupError, say } from './run.mjs';

/** Beside the page, not in it: what is in dist/web is served. */
const stamp = join(root, 'dist/.built-web');

/** The page in dist/web, built from these sources. */
export const page = {
  isDone() {
    return existsSync(join(root, 'dist/web/index.html')) && readText(stamp) === fingerprint(inputs());
  },
  make() {
    say('Building the page into dist/web ...');
    rmSync(stamp, { force: true });
    const built = fingerprint(inputs());
    const vite = join(root, 'node_modules/vite/bin/vite.js');
    const { status } = spawnSync(process.execPath, [vite, 'build', '--logLevel', 'warn'], {
      cwd: root,
      stdio: ['ignore', 2, 2],
    });
    if (status !== 0) throw new SetupError('The page could not be built; the messages above say why.');
    writeFileSync(stamp, built);
  },
};

function inputs() {
  return [
    ...filesIn('src'),
    ...filesIn('shaders'),
    'vite.config.ts',
    'scripts/licenses.mjs',
    'package.json',
    'package-lock.json',
  ];
}
