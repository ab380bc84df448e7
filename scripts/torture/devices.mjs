// Every call of WebGPU by a run, once in each place, loses the device, at once or a moment later, is refused, or finds no memory.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { placesOf } from './faults.mjs';
import { argsOf, jobs, prepare, readAll, strays } from './jobs.mjs';
import { differences, start, undisturbed, unspoken } from './runs.mjs';

const inject = ['--import', new URL('inject-device.mjs', import.meta.url).href];
const short = { batch_size: 40 };
/** From opening over compiling, uploading, training and saving to what is measured and drawn at the end. */
const shortJobs = {
  animated: { ...jobs.animated, steps: 40 },
  streamed: { ...jobs.streamed, steps: 40 },
  resampled: { ...jobs.resampled, steps: 320 },
};
const hows = ['lost', 'lost later', 'invalid'];

async function run(cwd, args, fault) {
  const log = `${cwd}.calls`;
  const env = { TORTURE_CALLS: log, ...(fault && { TORTURE_DEVICE: JSON.stringify(fault) }) };
  const ended = await start(args, { cwd, env, node: inject }).ended;
  const calls = readFileSync(log, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
  rmSync(log, { force: true });
  return { ...ended, calls };
}

/** Has a run meet a fault, and go on afterwards. @returns how it ended, and what is wrong. */
async function meet(folder, job, fault) {
  const cwd = mkdtempSync(join(folder, 'device-'));
  const wrong = [];
  const say = (what) => what && wrong.push(what);
  try {
    prepare(cwd);
    const args = argsOf(job, { ...short, every: 6 });
    const expected = await undisturbed(folder, job, short);
    const ended = await run(cwd, args, fault);
    const goesOn = (ended.stderr.match(/It is opened again, and training goes on/g) ?? []).length;
    say(unspoken({ ...ended, stderr: ended.stderr.replace(/^.*It is opened again.*\n/gm, '') }));
    if (![0, 1].includes(ended.status)) say(`status ${ended.status ?? ended.signal}`);
    if (ended.status === 0 && differences(cwd, expected).length > 0)
      say(`status 0, and ${differences(cwd, expected)} differ`);
    // A loss is no reason to end; where nothing was made of it, it came too late to matter.
    if (/^lost/.test(fault.how) && !/^request/.test(fault.call) && ended.status !== 0)
      say(`it ended: ${ended.stderr.trim()}`);
    (await readAll(cwd)).wrong.forEach(say);
    if (strays(cwd).length > 0) say(`there are ${strays(cwd)}`);
    const again = await run(cwd, [...args, '--resume']);
    if (again.status !== 0) say(`afterwards status ${again.status}: ${again.stderr.trim()}`);
    if (differences(cwd, expected).length > 0) say(`afterwards ${differences(cwd, expected)} differ`);
    return { wrong, status: ended.status, goesOn };
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

/** @param {import('../torture.mjs').Torture} torture */
export async function* devices(torture) {
  const all = [];
  for (const [name, job] of Object.entries(shortJobs)) {
    const cwd = mkdtempSync(join(torture.folder, 'calls-'));
    prepare(cwd);
    const { calls } = await run(cwd, argsOf(job, { ...short, every: 6 }));
    for (const { place, nth, key } of placesOf(calls)) {
      const { call, from } = place;
      const ways = call === 'createBuffer' ? [...hows, 'memory'] : /^request/.test(call) ? ['refused'] : hows;
      for (const how of ways) all.push({ name, job, key, fault: { call, from, nth, how } });
    }
    yield;
  }
  for (const { name, job, key, fault } of torture.shuffled(all)) {
    const { wrong, status, goesOn } = await meet(torture.folder, job, fault);
    const row = `${fault.how}: ${fault.call}`;
    torture.count('devices', row, 'faults');
    torture.count('devices', row, `status ${status}`);
    torture.count('devices', row, 'opened again', goesOn);
    torture.count('devices', row, 'lost', wrong.length > 0 ? 1 : 0);
    for (const what of wrong) torture.lost('devices', `${name}: ${fault.how} in ${key}`, what);
    yield;
  }
}
