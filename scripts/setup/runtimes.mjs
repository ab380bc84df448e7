import { join } from 'node:path';
import { isInstalled } from './packages.mjs';
import { mayInstall, npm, root, say } from './run.mjs';

/** Deno, ONNX Runtime and an older TypeScript, for the tests of `test/runtimes`. Where they cannot be had, those tests say that they are skipped. */
export const runtimes = {
  isDone() {
    return !mayInstall() || isInstalled(runtimesFolder);
  },
  make() {
    say('Installing Deno, ONNX Runtime and TypeScript 5 for their tests (npm ci in test/runtimes) ...');
    if (!installIn(runtimesFolder)) {
      say('They could not be installed; npm says why above. Their tests will be skipped.');
    }
  },
};

export const runtimesFolder = join(root, 'test/runtimes');

/** npm ci in a folder of its own. A machine without network does not wait long for one. True where it succeeded. */
export function installIn(folder) {
  return npm('ci', '--prefix', folder, '--ignore-scripts', '--loglevel=error', '--fetch-retries=1');
}
