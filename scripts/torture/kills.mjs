// Trainings that are killed at random moments, in every way, and go on each time, until they end: what they leave is what they would have left.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { argsOf, jobs, prepare, readAll, strays } from './jobs.mjs';
import { differences, environment, hangs, lives, main, start, undisturbed, unspoken } from './runs.mjs';

const signals = [
  'SIGKILL',
  'SIGTERM',
  'SIGINT',
  'SIGHUP',
  'closed terminal',
  'SIGTERM, SIGKILL',
  'SIGINT, SIGINT',
];
/** What a process has come to, by what it has said and left so far. */
const phases = ['start', 'compiling', 'steps', 'writing', 'end'];
const statuses = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129, 'closed terminal': 129, 'SIGINT, SIGINT': 130 };

const linesOf = (text) => text.split(/\r?\n/).filter((line) => line.startsWith('{'));

/** @param cwd its folder. @param said what it printed. */
function phaseOf(cwd, { stdout }) {
  const files = existsSync(join(cwd, 'files')) ? readdirSync(join(cwd, 'files')) : [];
  if (/^\{"snapshot":/m.test(stdout)) return 'end';
  if (files.some((name) => /^snapshot.*\.tmp$/.test(name))) return 'writing';
  if (stdout.includes('first_step_seconds')) return 'steps';
  return files.includes('run.lock') ? 'compiling' : 'start';
}

/** In a terminal, which is closed as a window is. */
function startInTerminal(args, cwd) {
  const words = [process.execPath, main, ...args].map((word) => `'${word}'`).join(' ');
  const script = spawn('script', ['-qec', `echo $$; exec ${words}`, '/dev/null'], {
    cwd,
    env: environment(cwd),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const said = { stdout: '', stderr: '' };
  script.stdout.setEncoding('utf8').on('data', (text) => {
    said.stdout += text;
  });
  const gone = new Promise((resolve) => script.on('close', resolve));
  const ended = gone.then(async (status) => {
    const pid = Number.parseInt(said.stdout, 10);
    const begun = performance.now();
    // Its own status is nobody's any more once the terminal is gone.
    while (pid > 0 && lives(pid) && performance.now() - begun < hangs) await pause(10);
    const hung = pid > 0 && lives(pid);
    if (hung) process.kill(pid, 'SIGKILL');
    return { status, signal: null, stdout: said.stdout, stderr: '', hung };
  });
  return { child: script, said, ended };
}

/** Waits for a moment at random in a phase. */
async function moment(torture, run, cwd, phase, life) {
  let over = false;
  run.ended.then(() => {
    over = true;
  });
  const order = phases.indexOf(phase);
  const reached = () => {
    const now = phaseOf(cwd, run.said);
    return phase === 'writing' ? now === 'writing' : phases.indexOf(now) >= order;
  };
  while (phase !== 'start' && !over && !reached()) await pause(1);
  if (phase === 'writing') return over;
  const share = { start: 0.3, compiling: 0.3, steps: 0.6, end: 0.4 }[phase] ?? 1;
  // Short ones are as likely as long ones, whatever the unit.
  const wait = share * life * torture.random() ** 2;
  for (const until = performance.now() + wait; performance.now() < until && !over; ) await pause(1);
  return over;
}

/** @param {import('./torture.mjs').Torture} torture @param {string[]} names of jobs. @param {number} [kills] of a training. */
export async function* kills(torture, names = Object.keys(jobs), kills) {
  for (;;) {
    const name = torture.pick(names);
    const job = jobs[name];
    const every = torture.pick([3, 7, 20, 50]);
    const expected = await undisturbed(torture.folder, job);
    const cwd = mkdtempSync(join(torture.folder, `${name}-`));
    prepare(cwd);
    const args = [...argsOf(job, { every }), '--resume'];
    const most = kills ?? 4 + Math.floor(torture.random() * 8);
    const count = (row, column, by) => torture.count('kills', row, column, by);
    const lose = (where, what) => {
      torture.lost('kills', `${name} saving every ${every}, ${where}`, what);
      return true;
    };
    let last = 0;
    for (let kill = 0; ; kill++) {
      const how = torture.pick(signals);
      const phase = torture.pick([...phases, 'anywhen']);
      const run = how === 'closed terminal' ? startInTerminal(args, cwd) : start(args, { cwd });
      const over = kill >= most || (await moment(torture, run, cwd, phase, expected.milliseconds));
      const at = phaseOf(cwd, run.said);
      if (!over) {
        const [first, second] = how.split(', ');
        run.child.kill(how === 'closed terminal' ? 'SIGKILL' : first);
        if (second) {
          await pause(second === 'SIGINT' ? 210 + 200 * torture.random() : 100 * torture.random());
          run.child.kill(second);
        }
      }
      const ended = await run.ended;
      if (kill > 0) count('all', 'resumes');
      const where = over ? 'at its end' : `${how} at ${at}, kill ${kill + 1}`;
      let lost = false;
      const wrongly = unspoken(ended);
      if (wrongly) lost = lose(where, wrongly);
      const { wrong, step = 0 } = await readAll(cwd);
      for (const what of wrong) lost = lose(where, what);
      if (step < last) lost = lose(where, `the snapshot was of step ${last}, and is of step ${step}`);
      const told = linesOf(ended.stdout).flatMap((line) =>
        line.startsWith('{"snapshot"') ? [JSON.parse(line).step] : [],
      );
      if (told.some((saved) => saved > step))
        lost = lose(where, `step ${told} was said to be saved, and step ${step} is`);
      last = step;
      if (over) {
        if (ended.status !== 0 && how !== 'closed terminal') {
          lose(where, `status ${ended.status ?? ended.signal}: ${ended.stderr.trim().slice(0, 500)}`);
          break;
        }
        if (kill < most) {
          count('all', 'ended before the kill');
          // The same command once more is a finished run that looks at itself.
        }
        if (strays(cwd).length > 0) lost = lose(where, `there are ${strays(cwd)}`);
        const differ = differences(cwd, expected);
        if (differ.length > 0) lost = lose(where, `${differ} differ: ${shown(cwd, differ[0], expected.cwd)}`);
        count('all', 'ends compared');
        count('all', 'ends with a difference', differ.length > 0 ? 1 : 0);
        break;
      }
      const polite = statuses[how];
      const status = ended.signal ?? ended.status;
      if (polite && how !== 'closed terminal' && ![polite, 0, how.split(', ')[0]].includes(status)) {
        lost = lose(where, `status ${status}: ${ended.stderr.trim().slice(0, 500)}`);
      }
      for (const row of [how, `in ${at}`, name, 'all']) {
        count(row, 'kills');
        count(row, 'lost', lost ? 1 : 0);
      }
      yield;
    }
    rmSync(cwd, { recursive: true, force: true });
    yield;
  }
}

/** Where two files begin to differ. */
function shown(cwd, file, other) {
  if (!existsSync(join(cwd, file)) || !existsSync(join(other, file))) return 'one is not there';
  const [a, b] = [cwd, other].map((folder) =>
    readFileSync(join(folder, file)).toString('latin1').split('\n'),
  );
  const line = a.findIndex((text, i) => text !== b[i]);
  return `line ${line + 1} is ${a[line]?.slice(0, 120)} and was ${b[line]?.slice(0, 120)}`;
}
