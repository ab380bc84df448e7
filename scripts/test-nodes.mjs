// npm run test:nodes: the command line in the oldest Node that is promised and in each later release line. It starts, trains an
// epoch with pictures, and exits with status 0, everywhere with the same figures. For Linux on x64, where the releases come as
// packages (test/runtimes/nodes, 750 MB once).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isInstalled } from './setup/packages.mjs';
import { mayInstall, root, say } from './setup/run.mjs';
import { installIn, runtimesFolder } from './setup/runtimes.mjs';

const folder = join(runtimesFolder, 'nodes');
const main = join(root, 'dist/cli/main.js');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

process.exitCode = prepare() && testAll() ? 0 : 1;

function prepare() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    say(
      `The releases of Node are tested on Linux on x64, and this is ${process.platform} on ${process.arch}.`,
    );
    return false;
  }
  if (isInstalled(folder)) return true;
  if (!mayInstall()) {
    say(`Node's releases are not installed, and SAE_NO_INSTALL is set. Run: npm ci --prefix ${folder}`);
    return false;
  }
  say('Installing the releases of Node (npm ci in test/runtimes/nodes) ...');
  return installIn(folder);
}

function testAll() {
  let first;
  let failed = 0;
  for (const name of Object.keys(dependencies)) {
    const node = join(folder, 'node_modules', name, 'bin/node');
    try {
      const seen = test(node);
      first ??= seen.loss;
      if (seen.loss !== first) throw new Error(`loss ${seen.loss}, and ${first} in the first`);
      console.log(
        `Node ${seen.release}: one epoch in ${seen.seconds.toFixed(1)} s, loss ${seen.loss}, status 0`,
      );
    } catch (error) {
      failed++;
      console.error(`${name}: ${error.message}`);
    }
  }
  return failed === 0;
}

/** What one release gave. Throws an Error that says what was wrong. */
function test(node) {
  const cwd = mkdtempSync(join(tmpdir(), 'sae-node-'));
  const run = (...args) => {
    const { status, signal, stdout, stderr } = spawnSync(node, args, {
      cwd,
      encoding: 'utf8',
      timeout: 300_000,
    });
    // Dawn's two lines on Vulkan.
    const said = stderr?.replace(/^Warning: maxDynamic.*\n/gm, '');
    if (status !== 0 || said) {
      throw new Error(
        `${args.slice(1).join(' ') || args[0]} ended with ${status ?? signal} and said: ${said}`,
      );
    }
    return stdout;
  };
  try {
    const release = run('--version').trim().slice(1);
    const own = run(main, '--version').trim();
    if (own !== version) throw new Error(`--version printed ${own}`);
    if (!run(main, '--help').includes('--h-dims')) throw new Error('--help printed no options');
    const begun = performance.now();
    const lines = run(main, '--dataset', 'mnist-10k', '--epochs', '1', '--save-model', '--json');
    const seconds = (performance.now() - begun) / 1000;
    const epochs = lines.split('\n').filter((line) => line.includes('"epoch":1'));
    if (epochs.length !== 1) throw new Error(`training printed ${epochs.length} epochs`);
    for (const file of [
      'files/sae.safetensors',
      'images/plot.png',
      'images/loss.png',
      'images/features.png',
    ]) {
      if (!existsSync(join(cwd, file))) throw new Error(`${file} was not written`);
    }
    return { release, seconds, loss: JSON.parse(epochs[0]).loss };
  } finally {
    rmSync(cwd, { recursive: true });
  }
}
