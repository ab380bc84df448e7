import { setTimeout } from 'node:timers/promises';
import { adapter } from './adapter.mjs';
import { browsers } from './browser.mjs';
import { build } from './build.mjs';
import { takeLock } from './lock.mjs';
import { packages } from './packages.mjs';
import { page } from './page.mjs';
import { runtimes } from './runtimes.mjs';

/**
 * Takes the steps that are still to be taken, in order: each has `isDone()`, which is quick, and `make()`, which throws a
 * SetupError where it cannot be done. A step that was interrupted is not done, and is taken again by the next run.
 * @param {{ test: boolean, web: boolean }} wanted `test`: for `npm test`, which wants browsers and other runtimes as well; `web`: for the page,
 * which is built too and wants no adapter here.
 */
export async function setUp({ test, web }) {
  const steps = [packages, build, ...(web ? [page] : [adapter]), ...(test ? [...browsers, runtimes] : [])];
  let locked = false;
  for (const step of steps) {
    if (step.isDone()) continue;
    if (!locked) {
      await takeLock();
      locked = true;
      // Another set-up may have done it while this one waited.
      if (step.isDone()) continue;
    }
    step.make();
    await setTimeout(10); // a Ctrl-C that came meanwhile is heard now
  }
}
