import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { placesOf } from '../../scripts/torture/faults.mjs';
import { arm } from '../../scripts/torture/inject.mjs';
import { EngineError } from '../../src/gpu/errors.js';
import type { EpochMetrics } from '../../src/node/index.js';
import { TableLog } from '../../src/node/metrics/table-log.js';
import { lockFolder } from '../../src/node/run-lock.js';
import { removeUnfinished, writeWhole } from '../../src/node/write-file.js';

// What a run does with its folder: each call fails once, in each way. `npm run torture` does this to whole trainings.

const base = mkdtempSync(join(tmpdir(), 'sae-faults-'));
afterAll(() => rmSync(base, { recursive: true }));
const log = join(base, 'calls');
const lines = ['{"epoch":1,"loss":2}\n', '{"epoch":2,"loss":1}\n'];

/** A folder as a process left it that was killed in the middle of everything. */
const left = join(base, 'left');
mkdirSync(left);
for (const [name, text] of Object.entries({
  'run.json': 'old',
  'run.json.0123abcd.tmp': 'cut',
  'run.lock': JSON.stringify({ host: hostname(), pid: 2 ** 22 + 1, began: 'before' }),
  'epochs.jsonl': lines[0] + lines[1].slice(0, 9),
})) {
  writeFileSync(join(left, name), text);
}

async function run(folder: string): Promise<void> {
  const release = await lockFolder(folder);
  try {
    await removeUnfinished(folder, ['run.json', 'run.lock']);
    await writeWhole(join(folder, 'run.json'), [Buffer.from('n'), Buffer.from('ew')], (why, cause) => {
      return new EngineError(`It cannot be written: ${why}.`, { cause });
    });
    const table = new TableLog(join(folder, 'epochs.jsonl'), 'epoch');
    try {
      table.rewind(1, 1);
      table.epoch({ epoch: 2, loss: 1 } as unknown as EpochMetrics<'kl'>);
    } finally {
      table.close();
    }
  } finally {
    release();
  }
}

function contentOf(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
}

it('each call of a run for its folder fails once, and the next run does all of it', async () => {
  const place = () => {
    const folder = join(mkdtempSync(join(base, 'run-')), 'files');
    cpSync(left, folder, { recursive: true });
    return folder;
  };
  const first = place();
  arm(first, undefined, log);
  await run(first);
  const wanted = { 'run.json': 'new', 'epochs.jsonl': lines.join('') };
  expect(contentOf(first)).toEqual(wanted);
  const calls = readFileSync(log, 'utf8').split('\n').slice(0, -1);
  const places = placesOf(calls.map((call) => JSON.parse(call)));
  expect(places.length).toBeGreaterThan(30);
  const codes = ['EIO', 'ENOSPC', 'EACCES', 'EMFILE', 'ESTALE'];
  for (const [i, { key, place: failing, nth }] of places.entries()) {
    const code = codes[i % codes.length];
    const what = `${code} in ${key}`;
    const folder = place();
    arm(folder, { place: failing, nth, code });
    const error = await run(folder).catch((error: unknown) => error);
    arm(folder);
    if (error !== undefined) expect(error, what).toBeInstanceOf(EngineError);
    const content = contentOf(folder);
    expect(['old', 'new'], what).toContain(content['run.json']);
    // A line that was whole is not lost, and none that is cut short is added.
    if (content['epochs.jsonl'] !== contentOf(left)['epochs.jsonl']) {
      expect([lines[0], lines.join('')], what).toContain(content['epochs.jsonl']);
    }
    if (error === undefined) expect(content, what).toMatchObject(wanted);
    // This process lives, so where its lock could not be removed it still has the folder.
    rmSync(join(folder, 'run.lock'), { force: true });
    await run(folder);
    expect(contentOf(folder), what).toEqual(wanted);
  }
});
