import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { codes, fail, inject, placesOf, scene } from '../../scripts/torture/faults.mjs';
import { Host } from '../../scripts/torture/host.mjs';
import { jobs } from '../../scripts/torture/jobs.mjs';
import { kills } from '../../scripts/torture/kills.mjs';
import { locks } from '../../scripts/torture/locks.mjs';
import { Torture } from '../../scripts/torture/torture.mjs';

// A little of `npm run torture`, always the same.

const folder = mkdtempSync(join(tmpdir(), 'sae-torture-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(process.platform !== 'linux')('nothing is lost', () => {
  it('of a training that is killed again and again', async () => {
    const torture = new Torture(folder, 1);
    const rounds = kills(torture, ['tables'], 4);
    while ((torture.counts.kills?.all?.kills ?? 0) < 4) await rounds.next();
    await rounds.next();
    expect(torture.losses).toEqual([]);
  });

  // The first are those at which something was lost, or not said, once.
  it.each([
    [
      'resumed',
      [/^statSync files\/snapshot/, /^closeSync steps/, /^existsSync files\/run\.json .*, the last$/],
    ],
    [
      'over',
      [
        /^openSync steps/,
        /^rename files\/snapshot\.safetensors /,
        /^open files\/sae\.safetensors a library$/,
      ],
    ],
  ])('of a training of which a call of the file system fails, beginning %s', async (beginning, known) => {
    const torture = new Torture(folder, 2);
    const host = new Host(inject);
    try {
      const made = await scene(folder, { ...jobs.tables, steps: 40 }, beginning);
      const places = placesOf(made.calls);
      const chosen = known.map((name) => places.find(({ key }) => name.test(key)));
      expect(chosen).not.toContain(undefined);
      for (const place of [...chosen, torture.pick(places)]) {
        const code = torture.pick(codes);
        const { wrong } = await fail(made, folder, { ...place!, code }, host.run);
        expect(wrong, `${code} in ${place!.key}`).toEqual([]);
      }
    } finally {
      host.close();
    }
  });

  it('where many runs want a folder at the same time', async () => {
    const torture = new Torture(folder, 3);
    for await (const _ of locks(torture, 40));
    expect(torture.losses).toEqual([]);
  });
});
