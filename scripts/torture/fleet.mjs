// Sweeps whose workers are killed, stopped past their leases, interrupted and begun again at random, on stores and queues that fail: each
// trial ends once, with the bits of a sweep that nothing disturbs, and nothing is left over.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { beds } from './fleet-beds.mjs';
import { Crew, parts, signals, skews } from './fleet-crew.mjs';
import { lease, undisturbed } from './fleet-sweeps.mjs';

/** @param {import('./torture.mjs').Torture} torture */
export async function* fleet(torture) {
  const prepared = new Map();
  for (;;) {
    const job = torture.pick(['plain', 'plain', 'two that overlap', 'halving']);
    if (!prepared.has(job)) prepared.set(job, await undisturbed(torture.folder, job));
    await schedule(torture, job, torture.pick(Object.keys(beds)), prepared.get(job));
    yield;
  }
}

/** One sweep or two, and what happens to their workers. */
async function schedule(torture, job, bedName, { template, sweeps, outcome }) {
  const cwd = mkdtempSync(join(torture.folder, 'fleet-'));
  mkdirSync(join(cwd, 'tmp'));
  const bed = await beds[bedName](cwd, template);
  const skew = skews.length > 0 && torture.random() < 0.4 ? torture.pick(skews) : undefined;
  const faults = skew ? [`clock ${skew}`] : [];
  const crew = new Crew({ cwd, bed, sweeps, outcome }, { skew });
  const all = await crew.run(() => breakAll(torture, crew, faults));
  await bed.close();
  // As it is meant to be, after five workers that died, or seemed dead, before they came further.
  const wrong = all.filter((what) => !/It was begun \d+ times/.test(what));
  for (const what of wrong) torture.lost('fleet', `${job} on a ${bedName}, ${faults}, ${cwd}`, what);
  for (const row of [`on a ${bedName}`, job, 'all']) {
    const counts = {
      schedules: 1,
      trials: outcome.length,
      faults: faults.length,
      lost: wrong.length,
      'given up': all.length - wrong.length,
    };
    for (const [column, by] of Object.entries(counts)) torture.count('fleet', row, column, by);
  }
  for (const fault of faults) torture.count('fleet: faults', fault, 'done');
  if (wrong.length === 0) rmSync(cwd, { recursive: true, force: true });
}

/** Does what breaks workers and what they run on, one after another. */
async function breakAll(torture, crew, faults) {
  const count = 2 + Math.floor(torture.random() * 4);
  const own = Object.keys(crew.bed.faults);
  for (let i = 0; i < count; i++) {
    await pause(100 + 2000 * torture.random());
    if (crew.isOver) return;
    if (own.length > 0 && torture.random() < 0.5) {
      const fault = torture.pick(own);
      faults.push(fault);
      await crew.bed.faults[fault](() => torture.random());
    } else if (crew.alive.length > 0) await breakOne(torture, crew, faults);
  }
}

async function breakOne(torture, crew, faults) {
  const one = torture.pick(crew.alive);
  const kind = torture.pick(['kill', 'kill', 'kill at a call', 'stop', 'stop', ...Object.keys(signals)]);
  const part = torture.pick(parts);
  faults.push(['kill', 'stop'].includes(kind) ? `${kind} ${part}` : kind);
  if (kind === 'kill') crew.kill(one, part);
  else if (kind === 'stop') await crew.stop(one, part, lease * (1.1 + torture.random()));
  else if (kind in signals) crew.interrupt(one, kind);
  else {
    const nth = 1 + Math.floor(torture.random() ** 2 * 80);
    await crew.killAt(one, { nth, after: torture.random() < 0.5, child: torture.random() < 0.7 });
  }
}
