// Many processes want one folder in the same millisecond, often one whose last holder died: exactly one gets it.
import { fork, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

const processes = 5;
const contender = new URL('contender.mjs', import.meta.url);

/** @param {import('./torture.mjs').Torture} torture */
export async function* locks(torture, rounds = 2000) {
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  const contenders = Array.from({ length: processes }, () => fork(contender, { execArgv: [] }));
  const ask = (message) =>
    Promise.all(
      contenders.map((child) => {
        child.send(message);
        return new Promise((resolve) => child.once('message', resolve));
      }),
    );
  try {
    await ask({});
    for (let round = 0; round < rounds; round++) {
      const folder = mkdtempSync(join(torture.folder, 'lock-'));
      const links = torture.random() < 0.8;
      const state = torture.pick([
        'free',
        'of a dead process',
        'of a dead process',
        'cut short, of a dead process',
      ]);
      const text = JSON.stringify({ host: hostname(), pid: dead, began: `before ${round}` });
      if (state === 'of a dead process') writeFileSync(join(folder, 'run.lock'), text);
      // What a process leaves that died while it took the lock of another dead one away.
      if (state.startsWith('cut short')) {
        writeFileSync(join(folder, 'run.lock'), text);
        writeFileSync(join(folder, 'run.lock.0123abcd.tmp'), 'cut');
      }
      const answers = await ask({ folder, at: Date.now() + 15, links });
      const won = answers.filter(({ won }) => won).length;
      const strange = answers
        .map(({ sentence }) => sentence)
        .filter((text) => text && !/^Another run \(/.test(text));
      const row = `${state}${links ? '' : ', without links'}`;
      torture.count('locks', row, 'rounds');
      torture.count('locks', row, 'contenders', processes);
      torture.count('locks', row, 'won', won);
      torture.count('locks', row, 'lost', won === 1 && strange.length === 0 ? 0 : 1);
      if (won !== 1)
        torture.lost('locks', row, `${won} of ${processes} got the folder: ${JSON.stringify(answers)}`);
      for (const sentence of strange) torture.lost('locks', row, sentence);
      await ask({ free: true });
      const left = readdirSync(folder).filter((name) => name !== 'run.lock.0123abcd.tmp');
      if (left.length > 0) torture.lost('locks', row, `${left} stay`);
      rmSync(folder, { recursive: true });
      if (round % 50 === 49) yield;
    }
  } finally {
    for (const child of contenders) child.kill('SIGKILL');
  }
}
