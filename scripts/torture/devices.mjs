// Every call of WebGPU by a run, once in each place, loses the device, at once or a moment later, is refused or is invalid; and each
// buffer and texture that it makes, in turn, finds no memory.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { placesOf } from './faults.mjs';
import { Host, injecting, runAlone } from './host.mjs';
import { argsOf, jobs, prepare, readAll, strays } from './jobs.mjs';
import { differences, undisturbed, unspoken } from './runs.mjs';

const inject = injecting('inject-device.mjs');
const alone = (...how) => runAlone(inject, ...how);
const short = { batch_size: 40 };
/** From opening over compiling, uploading, training and saving to what is measured and drawn at the end: the quickest first. */
const shortJobs = {
  tables: { ...jobs.tables, steps: 40 },
  streamed: { ...jobs.streamed, steps: 40 },
  resampled: { ...jobs.resampled, steps: 160 },
  /** On an adapter that nothing is known of yet, which is held against known answers meanwhile. */
  unchecked: { ...jobs.tables, steps: 40, unchecked: true },
  animated: { ...jobs.animated, steps: 40 },
};
const hows = ['lost', 'lost later', 'invalid'];

/** Has a run meet a fault, and go on afterwards. @returns how it ended, and what is wrong. */
async function meet(folder, job, fault, run = alone) {
  const cwd = mkdtempSync(join(folder, 'device-'));
  const wrong = [];
  const say = (what) => what && wrong.push(what);
  try {
    prepare(cwd);
    const args = argsOf(job, { ...short, every: 6 });
    const expected = await undisturbed(folder, job, short);
    const ended = await run(args, cwd, fault);
    const goesOn = (ended.stderr.match(/It is opened again, and training goes on/g) ?? []).length;
    say(unspoken({ ...ended, stderr: ended.stderr.replace(/^.*It is opened again.*\n/gm, '') }));
    if (![0, 1].includes(ended.status)) say(`status ${ended.status ?? ended.signal}`);
    if (ended.status === 0 && differences(cwd, expected).length > 0)
      say(`status 0, and ${differences(cwd, expected)} differ`);
    // A loss is no reason to end; where nothing was made of it, it came too late to matter.
    if (/^lost/.test(fault.how) && !/^request/.test(fault.call) && ended.status !== 0)
      say(`it ended: ${ended.stderr.trim()}`);
    if (fault.allocation && ended.status !== 0 && !/memory/.test(ended.stderr))
      say(`it does not speak of memory: ${ended.stderr.trim().slice(0, 500)}`);
    (await readAll(cwd)).wrong.forEach(say);
    if (strays(cwd).length > 0) say(`there are ${strays(cwd)}`);
    const again = await run([...args, '--resume'], cwd);
    if (again.status !== 0) say(`afterwards status ${again.status}: ${again.stderr.trim()}`);
    if (differences(cwd, expected).length > 0) say(`afterwards ${differences(cwd, expected)} differ`);
    const reached = ended.calls.some(({ fails }) => fails);
    return { wrong, status: reached ? `status ${ended.status}` : 'not reached', goesOn };
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

/** The faults of all calls that a job makes, but for what is made by the same line, or under the same name, as in another job. */
function faultsOf(calls, { unchecked }, known) {
  const ofCalls = placesOf(calls.map(({ allocates: _, ...call }) => call)).flatMap(({ place, nth, key }) => {
    const ways = /^request/.test(place.call) ? ['refused'] : hows;
    const { call, from } = place;
    return ways.map((how) => ({ what: key, key, fault: { call, from, nth, how, unchecked } }));
  });
  const allocations = calls.filter(({ allocates }) => allocates !== undefined);
  const ofMemory = allocations.map(({ call, allocates: what }, i) => {
    const key = `allocation ${i + 1} of ${allocations.length}, ${what}`;
    return { what, key, fault: { call, how: 'no memory', allocation: i + 1, unchecked } };
  });
  const all = [...ofCalls, ...ofMemory].filter(({ what }) => !known.has(what));
  for (const { what } of all) known.add(what);
  return all;
}

const isAllocation = ({ fault }) => fault.allocation !== undefined;

/** @param {import('./torture.mjs').Torture} torture */
export async function* devices(torture) {
  const host = new Host(inject);
  try {
    const all = [];
    const known = new Set();
    for (const [name, job] of Object.entries(shortJobs)) {
      // The adapter is known by then.
      await undisturbed(torture.folder, job, short);
      const cwd = mkdtempSync(join(torture.folder, 'calls-'));
      prepare(cwd);
      const { calls } = await alone(argsOf(job, { ...short, every: 6 }), cwd, { unchecked: job.unchecked });
      const faults = faultsOf(calls, job, known);
      for (const each of faults) all.push({ name, job, ...each });
      torture.count('devices', 'all', 'places', faults.length);
      torture.count('devices', 'all', 'allocations of them', faults.filter(isAllocation).length);
      yield;
    }
    for (const { name, job, key, fault } of torture.shuffled(all)) {
      let { wrong, status, goesOn } = await meet(torture.folder, job, fault, host.run);
      if (wrong.length > 0) {
        // What other runs of the process may have to do with it does not count.
        host.close();
        ({ wrong, status, goesOn } = await meet(torture.folder, job, fault));
      }
      for (const row of [`${fault.how}: ${fault.call}`, 'all']) {
        torture.count('devices', row, 'faults');
        torture.count('devices', row, status);
        torture.count('devices', row, 'opened again', goesOn);
        torture.count('devices', row, 'lost', wrong.length > 0 ? 1 : 0);
      }
      for (const what of wrong) torture.lost('devices', `${name}: ${fault.how} in ${key}`, what);
      yield;
    }
  } finally {
    host.close();
  }
}
