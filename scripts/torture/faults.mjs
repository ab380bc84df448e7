// Every call of the file system by a run fails once, in each place, with each error, and the run goes on afterwards.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { Host, injecting, runAlone } from './host.mjs';
import { argsOf, filesIn, jobs, modelFile, prepare, readAll, sha, snapshotFile, strays } from './jobs.mjs';
import { differences, start, undisturbed, unspoken } from './runs.mjs';

export const inject = injecting('inject.mjs');
const inProcess = (...how) => runAlone(inject, ...how);
export const codes = ['EIO', 'ENOSPC', 'EACCES', 'EMFILE', 'ESTALE'];
const short = { batch_size: 40 };
/** How a run begins: in an empty folder, over the results of another one, or from its own snapshot. */
const beginnings = ['empty', 'over', 'resumed'];

const shortJobs = {
  tables: { ...jobs.tables, steps: 40 },
  animated: {
    ...jobs.animated,
    steps: 40,
    args: jobs.animated.args.map((word) => (word === '20' ? '6' : word)),
  },
  tensorboard: { ...jobs.tensorboard, steps: 40 },
};

/** Has a run killed when its first snapshot is in its place. */
const killedWhenSaved = [
  '--import',
  `data:text/javascript,${encodeURIComponent(`
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const { rename } = fs.promises;
    fs.promises.rename = async (from, to) => {
      await rename(from, to);
      if (to.endsWith('snapshot.safetensors')) process.kill(process.pid, 'SIGKILL');
    };
    syncBuiltinESMExports();`)}`,
];

/** A folder as it is when the run begins, the command, and all calls of that run. */
export async function scene(folder, job, beginning, run = inProcess) {
  const cwd = mkdtempSync(join(folder, 'scene-'));
  prepare(cwd);
  const args = argsOf(job, { ...short, every: 6 });
  const made = async (words, wanted, node = []) => {
    const { status, signal, stderr } = await start(words, { cwd, node }).ended;
    if ((status ?? signal) !== wanted) throw new Error(`A run ended with ${status ?? signal}: ${stderr}`);
  };
  // Another run's: its seed is another one.
  if (beginning === 'over') await made([...args.map((word) => (word === '7' ? '8' : word))], 0);
  if (beginning === 'resumed') await made(args, 'SIGKILL', killedWhenSaved);
  const words = beginning === 'resumed' ? [...args, '--resume'] : args;
  const { calls } = await injected(cwd, folder, words, undefined, run);
  return { cwd, job, args: words, beginning, calls, expected: await undisturbed(folder, job, short) };
}

/** Runs a command in a copy of a folder, with a fault. */
async function injected(from, folder, args, fault, run) {
  const cwd = mkdtempSync(join(folder, 'fault-'));
  await cp(from, cwd, { recursive: true });
  return { cwd, ...(await run(args, cwd, fault)) };
}

/** Places of a run: of calls that the same line makes for the same file, the first and the last. */
export function placesOf(calls) {
  const places = new Map();
  for (const { fails: _, ...place } of calls) {
    const key = `${place.call} ${place.path} ${place.from}`;
    places.set(key, { key, place, nth: (places.get(key)?.nth ?? 0) + 1 });
  }
  return [...places.values()].flatMap(({ key, place, nth }) => {
    const first = { key, place, nth: 1 };
    return nth === 1 ? [first] : [first, { key: `${key}, the last`, place, nth }];
  });
}

/** Lets a call fail, and the run then go on. @returns what is wrong. */
export async function fail({ cwd: from, args, beginning, expected }, folder, fault, run = inProcess) {
  const earlier =
    beginning === 'over'
      ? { model: sha(join(from, modelFile)), snapshot: sha(join(from, snapshotFile)) }
      : {};
  const before = (await readAll(from)).step ?? 0;
  const { cwd, ...ended } = await injected(from, folder, args, fault, run);
  const wrong = [];
  const say = (what) => what && wrong.push(what);
  try {
    say(unspoken(ended));
    if (![0, 1].includes(ended.status))
      say(`status ${ended.status ?? ended.signal}: ${ended.stderr.trim().slice(0, 600)}`);
    const lacking = differences(cwd, expected);
    if (ended.status === 0 && lacking.length > 0) say(`status 0, and ${lacking} differ`);
    const read = await readAll(cwd, { torn: ended.status !== 0 });
    read.wrong.forEach(say);
    if (
      earlier.model &&
      lacking.includes(modelFile) &&
      (!existsSync(join(cwd, modelFile)) || sha(join(cwd, modelFile)) !== earlier.model)
    ) {
      say('the earlier model is lost');
    }
    if (earlier.snapshot) {
      const kept = filesIn(cwd)
        .filter((file) => /snapshot[^/]*\.safetensors$/.test(file))
        .map((file) => sha(join(cwd, file)));
      if (!kept.includes(earlier.snapshot)) say('the earlier snapshot is lost');
    } else if ((read.step ?? 0) < before)
      say(`the snapshot was of step ${before}, and is of step ${read.step}`);

    // Nothing fails any more. What another run has left is not gone on with.
    const other =
      earlier.snapshot &&
      existsSync(join(cwd, snapshotFile)) &&
      sha(join(cwd, snapshotFile)) === earlier.snapshot;
    const again = await run(
      [...args.filter((word) => word !== '--resume'), ...(other ? [] : ['--resume'])],
      cwd,
    );
    say(unspoken(again));
    if (again.status !== 0) say(`afterwards status ${again.status}: ${again.stderr.trim()}`);
    // Of steps whose lines could not be written in time, it says so.
    const told = [...again.stderr.matchAll(/^(\S+) (?:has no line of|is gone)/gm)].map(([, file]) => file);
    const differ = differences(cwd, expected).filter((file) => !told.includes(file));
    if (differ.length > 0) say(`afterwards ${differ} differ`);
    (await readAll(cwd)).wrong.forEach((what) => {
      say(`afterwards ${what}`);
    });
    if (strays(cwd).length > 0) say(`afterwards there are ${strays(cwd)}`);
    return {
      wrong,
      status: ended.calls.some(({ fails }) => fails) ? ended.status : 'not reached',
      stderr: ended.stderr,
    };
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

/** With one of each line's places before all others. */
function firstOfEach(entries) {
  const seen = new Set();
  const [first, others] = [[], []];
  for (const entry of entries) {
    const { key } = entry[1].place;
    (seen.has(key) ? others : first).push(entry);
    seen.add(key);
  }
  return [...first, ...others];
}

/** @param {import('./torture.mjs').Torture} torture */
export async function* faults(torture) {
  const { folder } = torture;
  const host = new Host(inject);
  try {
    const places = [];
    const known = new Set();
    for (const [name, job] of Object.entries(shortJobs)) {
      for (const beginning of beginnings) {
        const made = await scene(folder, job, beginning);
        for (const place of placesOf(made.calls)) {
          const key = `${beginning} ${place.key}`;
          // Another job may have had it.
          if (!known.has(key)) places.push({ name, made, place });
          known.add(key);
        }
        yield;
      }
    }
    torture.count('faults', 'all', 'places', places.length);
    torture.count('faults', 'all', 'lines of them', new Set(places.map(({ place }) => place.key)).size);
    // Every place once, with any error, first each line however the run began; then with the other errors.
    const shift = Math.floor(torture.random() * codes.length);
    for (let round = 0; round < codes.length; round++) {
      const order = firstOfEach(torture.shuffled([...places.entries()]));
      for (const [i, { name, made, place }] of order) {
        const code = codes[(i + shift + round) % codes.length];
        const fault = { place: place.place, nth: place.nth, code };
        // What is kept for a process's life is looked at in one of its own.
        const own = /fonts/.test(place.key) || torture.random() < 0.05;
        let { wrong, status } = await fail(made, folder, fault, own ? inProcess : host.run);
        if (wrong.length > 0 && !own) {
          host.close();
          ({ wrong, status } = await fail(made, folder, fault));
        }
        for (const row of [place.place.call, 'all']) {
          torture.count('faults', row, 'faults');
          torture.count('faults', row, status === 'not reached' ? status : `status ${status}`);
          torture.count('faults', row, 'in own process', own ? 1 : 0);
          torture.count('faults', row, 'lost', wrong.length > 0 ? 1 : 0);
        }
        for (const what of wrong) {
          torture.lost('faults', `${name}, ${made.beginning}: ${code} in ${place.key}`, what);
        }
        yield;
      }
      torture.count('faults', 'all', 'rounds over all places');
    }
  } finally {
    host.close();
  }
}
