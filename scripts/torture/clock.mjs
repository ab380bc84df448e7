// A clock that jumps, by days and years, while a training goes on. Needs Debian's faketime.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { argsOf, jobs, prepare, readAll, strays } from './jobs.mjs';
import { differences, start, undisturbed, unspoken } from './runs.mjs';

const library = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu']
  .map((folder) => join(folder, 'faketime/libfaketimeMT.so.1'))
  .find((file) => existsSync(file));

/** @param {import('./torture.mjs').Torture} torture */
export async function* clock(torture) {
  if (!library) {
    console.log('clock: faketime is not installed (apt-get install faketime)');
    return;
  }
  for (;;) {
    const name = torture.pick(['tables', 'animated', 'tensorboard']);
    const job = { ...jobs[name], steps: 200 };
    const expected = await undisturbed(torture.folder, job);
    const cwd = mkdtempSync(join(torture.folder, 'clock-'));
    prepare(cwd);
    const file = join(cwd, 'clock');
    const every = torture.pick(['7', '0.002min']);
    const env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      // What counts from the machine's start does not jump.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
    const jump = () =>
      writeFileSync(file, torture.pick(['-3650d', '-1d', '-90s', '+0', '+90s', '+1d', '+3650d']));
    jump();
    const killed = torture.random() < 0.5;
    const begin = () => start([...argsOf(job, { every }), '--resume'], { cwd, env });
    let jumps = 0;
    const jumping = async (run, life) => {
      let over = false;
      run.ended.then(() => {
        over = true;
      });
      for (const until = performance.now() + life; !over && performance.now() < until; jumps++) {
        await pause(100 * torture.random());
        jump();
      }
    };
    if (killed) {
      const run = begin();
      await jumping(run, expected.milliseconds * torture.random());
      run.child.kill('SIGKILL');
      await run.ended;
    }
    const run = begin();
    await jumping(run, Number.POSITIVE_INFINITY);
    const ended = await run.ended;
    rmSync(file);
    const wrong = [unspoken(ended), ...(await readAll(cwd)).wrong].filter(Boolean);
    if (ended.status !== 0)
      wrong.push(`status ${ended.status ?? ended.signal}: ${ended.stderr.trim().slice(0, 500)}`);
    const differ = differences(cwd, expected);
    if (differ.length > 0) wrong.push(`${differ} differ`);
    if (strays(cwd).length > 0) wrong.push(`there are ${strays(cwd)}`);
    const row = `${name}, saved every ${every}`;
    torture.count('clock', row, 'runs');
    torture.count('clock', row, 'jumps', jumps);
    torture.count('clock', row, 'kills', killed ? 1 : 0);
    torture.count('clock', row, 'lost', wrong.length > 0 ? 1 : 0);
    for (const what of wrong) torture.lost('clock', row, what);
    rmSync(cwd, { recursive: true });
    yield;
  }
}
