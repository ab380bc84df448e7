// `npm run docs`: makes the guide and the reference of the library into one site, docs/site, which works without a server. Installs what that needs
// into docs/node_modules: TypeDoc, which runs on TypeScript 6 only, and linkinator. A warning, or a link or an anchor that leads nowhere,
// ends it with an error.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { isInstalled, packages } from './setup/packages.mjs';
import { mayInstall, root, SetupError, say } from './setup/run.mjs';
import { installIn } from './setup/runtimes.mjs';

const folder = join(root, 'docs');

/** Runs a program of docs/node_modules. Its own messages say what is wrong. */
function run(script, ...args) {
  const file = join(folder, 'node_modules', script);
  const { status } = spawnSync(process.execPath, [file, ...args], { cwd: folder, stdio: 'inherit' });
  if (status !== 0) throw new SetupError('The documents have faults; the messages above say which.');
}

try {
  if (!packages.isDone()) packages.make();
  if (!isInstalled(folder)) {
    if (!mayInstall()) {
      throw new SetupError('TypeDoc is missing, and SAE_NO_INSTALL is set. Run: npm ci --prefix docs');
    }
    say('Installing TypeDoc and linkinator (npm ci in docs) ...');
    if (!installIn(folder)) {
      throw new SetupError('They could not be installed; npm says why above.');
    }
  }
  run('typedoc/bin/typedoc', '--options', folder);
  // TypeDoc looks at links between pages, and not at anchors within one.
  run(
    'linkinator/build/src/cli.js',
    'site',
    '--recurse',
    '--check-fragments',
    '--verbosity',
    'error',
    '--skip',
    '^https?://(?!localhost)',
  );
  say(`Open ${join(folder, 'site', 'index.html')}`);
} catch (error) {
  say(error.message);
  process.exitCode = 1;
}
