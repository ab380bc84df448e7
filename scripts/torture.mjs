// npm run torture -- --minutes 30 [--seed S] [--only kills,faults]: breaks trainings everywhere, again and again, and counts what was lost,
// which must be nothing. A kind is a file in scripts/torture/ and a line below.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { clock } from './torture/clock.mjs';
import { devices } from './torture/devices.mjs';
import { disk } from './torture/disk.mjs';
import { faults } from './torture/faults.mjs';
import { fleet } from './torture/fleet.mjs';
import { kills } from './torture/kills.mjs';
import { locks } from './torture/locks.mjs';
import { sleep } from './torture/sleep.mjs';
import { soak } from './torture/soak.mjs';
import { Torture } from './torture/torture.mjs';

/** Generators: each `next` is a round of some seconds, and they take turns. */
const kinds = { kills, faults, devices, disk, locks, sleep, clock, soak, fleet };

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: `${Math.floor(Math.random() * 1e6)}` },
    only: { type: 'string', default: Object.keys(kinds).join(',') },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'sae-torture-'));
const torture = new Torture(folder, Number(options.seed));
let end = performance.now() + Number(options.minutes) * 60_000;
console.log(`seed ${options.seed}`);
const left = new Map(options.only.split(',').map((name) => [name, kinds[name](torture)]));
// Ctrl-C ends it with the counts so far.
process.once('SIGINT', () => {
  end = 0;
});
let told = performance.now();
let rounds = 0;
while (left.size > 0 && performance.now() < end) {
  for (const [name, kind] of left) {
    if (performance.now() >= end) break;
    const { done } = await kind.next();
    rounds += 1;
    if (done) left.delete(name);
    if (done) console.log(`${name}: all was tried`);
  }
  if (performance.now() - told > 60_000) {
    told = performance.now();
    console.error(
      `${((end - told) / 60_000).toFixed(0)} minutes left; ${rounds} rounds, ${torture.losses.length} lost`,
    );
  }
}
// Ends the processes that they keep.
for (const kind of left.values()) await kind.return();
rmSync(folder, { recursive: true, force: true });
for (const [kind, rows] of Object.entries(torture.counts)) {
  console.log(`\n${kind}`);
  console.table(rows);
}
for (const name of left.keys()) console.log(`${name}: time was up before all was tried, or it has no end`);
console.log(`${torture.losses.length} lost`);
process.exitCode = torture.losses.length > 0 ? 1 : 0;
