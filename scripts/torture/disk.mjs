// Disks and folders that fail a training: one that fills, that turns read-only, a folder that is removed, too few files, a network folder.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { argsOf, jobs, prepare, readAll, strays } from './jobs.mjs';
import { differences, start, undisturbed, unspoken } from './runs.mjs';

const succeeds = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
const short = { ...jobs.tables, steps: 300 };
/** With its tables in the folder of its files. */
const inFiles = {
  ...short,
  args: short.args.map((word) => (/steps\.csv|epochs\.jsonl/.test(word) ? `files/${word}` : word)),
};

/** A training that something goes wrong in, and then goes on when nothing does any more. */
async function broken(
  torture,
  row,
  cwd,
  { job = short, env, before, afterwards = () => {}, during = () => {} },
) {
  const expected = await undisturbed(torture.folder, job);
  const args = [...argsOf(job, { every: torture.pick([7, 40]) }), '--resume'];
  const lost = [];
  const say = (what) => what && lost.push(what);
  const run = start(args, { cwd, env, ...before });
  let over = false;
  run.ended.then(() => {
    over = true;
  });
  const late = await during(run, () => over);
  const ended = await run.ended;
  say(unspoken(ended));
  if (![0, 1].includes(ended.status))
    say(`status ${ended.status ?? ended.signal}: ${ended.stderr.trim().slice(0, 500)}`);
  // Nothing fails any more: what there is can be read.
  await afterwards();
  if (ended.status === 0 && !late) {
    const differ = differences(cwd, expected);
    if (differ.length > 0) say(`status 0, and ${differ} differ`);
  }
  const read = await readAll(cwd, { torn: ended.status !== 0 });
  read.wrong.forEach(say);
  const again = await start(args, { cwd }).ended;
  say(unspoken(again));
  if (again.status !== 0) say(`afterwards status ${again.status}: ${again.stderr.trim().slice(0, 500)}`);
  const told = [...again.stderr.matchAll(/^(\S+) (?:has no line of|is gone)/gm)].map(([, file]) => file);
  const differ = differences(cwd, expected).filter((file) => !told.includes(file));
  if (differ.length > 0) say(`afterwards ${differ} differ`);
  if (strays(cwd).length > 0) say(`afterwards there are ${strays(cwd)}`);
  for (const what of lost) torture.lost('disk', row, what);
  torture.count('disk', row, 'runs');
  torture.count('disk', row, `status ${ended.status ?? ended.signal}`);
  torture.count('disk', row, 'lost', lost.length > 0 ? 1 : 0);
}

/** A disk of its own, until `work` ends. @returns whether there can be one. */
async function onDisk(torture, work) {
  const cwd = mkdtempSync(join(torture.folder, 'disk-'));
  if (!succeeds('mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', cwd)) return false;
  try {
    prepare(cwd);
    await work(cwd, (...options) => succeeds('mount', '-o', ['remount', ...options].join(','), cwd));
  } finally {
    while (!succeeds('umount', cwd)) await pause(100);
    rmSync(cwd, { recursive: true });
  }
  return true;
}

async function whenSaved(cwd, over) {
  while (!over() && !existsSync(join(cwd, 'files', 'snapshot.safetensors'))) await pause(1);
}

const kinds = {
  async 'a full disk'(torture, row) {
    return onDisk(torture, async (cwd, remount) => {
      const used = Number(spawnSync('du', ['-sk', cwd], { encoding: 'utf8' }).stdout.split('\t')[0]);
      remount(`size=${used + 4 * Math.ceil(30 * torture.random())}k`);
      await broken(torture, row, cwd, { afterwards: () => remount('size=16m') });
    });
  },
  async 'a disk that fills meanwhile'(torture, row) {
    return onDisk(torture, async (cwd, remount) => {
      const during = async (_, over) => {
        await whenSaved(cwd, over);
        await pause(200 * torture.random());
        // Not less than is used.
        for (let kilobytes = 16; !remount(`size=${kilobytes}k`); kilobytes += 4);
      };
      await broken(torture, row, cwd, { during, afterwards: () => remount('size=16m') });
    });
  },
  async 'a read-only disk'(torture, row) {
    return onDisk(torture, async (cwd, remount) => {
      remount('ro');
      await broken(torture, row, cwd, { afterwards: () => remount('rw') });
    });
  },
  async 'a disk that turns read-only'(torture, row) {
    return onDisk(torture, async (cwd, remount) => {
      const job = {
        ...short,
        args: short.args.filter((word) => !/_metrics|steps\.csv|epochs\.jsonl/.test(word)),
      };
      const during = async (_, over) => {
        await whenSaved(cwd, over);
        await pause(200 * torture.random());
        // It cannot while a file is open.
        while (!over() && !remount('ro')) await pause(1);
      };
      await broken(torture, row, cwd, { job, during, afterwards: () => remount('rw') });
    });
  },
  async 'a folder that is removed'(torture, row) {
    const cwd = mkdtempSync(join(torture.folder, 'removed-'));
    prepare(cwd);
    const during = async (run, over) => {
      if (torture.random() < 0.7) await whenSaved(cwd, over);
      await pause(300 * torture.random());
      if (!over()) spawnSync('rm', ['-rf', join(cwd, 'files')]);
      // What is removed after it was written is nobody's fault.
      return /^\{"model":/m.test(run.said.stdout);
    };
    await broken(torture, row, cwd, { job: inFiles, during });
    rmSync(cwd, { recursive: true });
    return true;
  },
  async 'few files'(torture, row) {
    const cwd = mkdtempSync(join(torture.folder, 'few-'));
    prepare(cwd);
    const most = torture.random() < 0.5 ? 20 : 18 + Math.floor(24 * torture.random());
    const before = { command: 'sh', before: ['-c', `ulimit -n ${most}; exec "$0" "$@"`, process.execPath] };
    await broken(torture, most === 20 ? `${row}: 20` : row, cwd, { before });
    rmSync(cwd, { recursive: true });
    return true;
  },
  async 'a network folder'(torture, row) {
    const base = mkdtempSync(join(torture.folder, 'network-'));
    const [under, cwd, faults] = ['under', 'mounted', 'faults'].map((name) => join(base, name));
    for (const path of [under, cwd]) mkdirSync(path);
    prepare(under);
    const script = fileURLToPath(new URL('network.py', import.meta.url));
    const server = spawn('/usr/bin/python3', [
      script,
      under,
      faults,
      `${Math.floor(1e6 * torture.random())}`,
      cwd,
      '-f',
    ]);
    let said = '';
    server.stderr.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    try {
      const begun = performance.now();
      while (!succeeds('mountpoint', '-q', cwd)) {
        await pause(20);
        if (server.exitCode !== null || performance.now() - begun > 10_000) {
          torture.count('disk', `${row}: none here (${said.trim().split('\n').at(-1)})`, 'runs', 0);
          return false;
        }
      }
      const rate = torture.pick([0.002, 0.01, 0.05]);
      writeFileSync(faults, `${rate}`);
      await broken(torture, row, cwd, { afterwards: () => writeFileSync(faults, '0') });
      return true;
    } finally {
      succeeds('umount', '-l', cwd);
      server.kill();
      rmSync(base, { recursive: true, force: true });
    }
  },
};

/** @param {import('./torture.mjs').Torture} torture */
export async function* disk(torture) {
  const possible = new Map(Object.entries(kinds));
  for (;;) {
    for (const [row, kind] of [...possible]) {
      if (!(await kind(torture, row))) possible.delete(row);
      yield;
    }
  }
}
