// A machine that sleeps while a training goes on, and has lost the device, or not, when it wakes up. Meanwhile its folder stays its own.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { argsOf, jobs, prepare, readAll, strays } from './jobs.mjs';
import { differences, start, undisturbed, unspoken } from './runs.mjs';

const losing = (times) => ['--import', new URL(`wake.mjs?times=${times}`, import.meta.url).href];

/** @param {import('./torture.mjs').Torture} torture */
export async function* sleep(torture) {
  for (;;) {
    const name = torture.pick(['tables', 'streamed', 'batchtopk', 'tensorboard']);
    const job = { ...jobs[name], steps: 600 };
    const expected = await undisturbed(torture.folder, job);
    const cwd = mkdtempSync(join(torture.folder, 'sleep-'));
    prepare(cwd);
    const lost = torture.random() < 0.7;
    const args = [...argsOf(job, { every: torture.pick([3, 20]) }), '--resume'];
    const run = start(args, { cwd, node: losing(lost ? 3 : 0) });
    let over = false;
    run.ended.then(() => {
      over = true;
    });
    const wrong = [];
    let slept = 0;
    while (!over && !run.said.stdout.includes('first_step')) await pause(1);
    for (let i = 0; i < 3 && !over; i++) {
      await pause(400 * torture.random());
      if (over) break;
      run.child.kill('SIGSTOP');
      slept++;
      if (torture.random() < 0.3) {
        const other = await start(args, { cwd }).ended;
        if (other.status !== 1 || !/^sae: Another run \(/m.test(other.stderr)) {
          wrong.push(`a second run ended with ${other.status}: ${other.stderr.trim()}`);
        }
        torture.count('sleep', name, 'second runs refused');
      } else await pause(300 * torture.random());
      run.child.kill('SIGCONT');
    }
    const ended = await run.ended;
    wrong.push(...[unspoken(ended), ...(await readAll(cwd)).wrong].filter(Boolean));
    if (ended.status !== 0)
      wrong.push(`status ${ended.status ?? ended.signal}: ${ended.stderr.trim().slice(0, 500)}`);
    const differ = differences(cwd, expected);
    if (differ.length > 0) wrong.push(`${differ} differ`);
    if (strays(cwd).length > 0) wrong.push(`there are ${strays(cwd)}`);
    torture.count('sleep', name, 'runs');
    torture.count('sleep', name, 'slept', slept);
    torture.count('sleep', name, 'devices lost', ended.stderr.match(/It is opened again/g)?.length ?? 0);
    torture.count('sleep', name, 'lost', wrong.length > 0 ? 1 : 0);
    for (const what of wrong) torture.lost('sleep', name, what);
    rmSync(cwd, { recursive: true });
    yield;
  }
}
