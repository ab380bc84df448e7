import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type GivenUp, readModelFile } from '../../src/node/index.js';
import { long } from '../support/long.js';
import { bytes, figures, filesIn, npy, objects, sae, start, succeeds, temporaryFolder } from './sae.js';

// A run that was stopped, killed or that lost its device ends with what one that never stopped ends with.

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([400, 16], bytes(6400)));
const others = folder.write('others.npy', npy([400, 16], bytes(6401).slice(1)));
const fewer = folder.write('fewer.npy', npy([399, 16], bytes(6384)));
const model = join('files', 'sae.safetensors');
const snapshot = join('files', 'snapshot.safetensors');
const posix = process.platform !== 'win32';

const run = [
  '--data',
  rows,
  '--sparsity',
  'topk',
  '--k',
  '3',
  '--h_dims',
  '8',
  '--batch_size',
  '8',
  '--epochs',
  '20',
  '--json',
];
const logs = ['--step_metrics', 'steps.csv', '--epoch_metrics', 'epochs.jsonl'];
const kept = ['--save-model', '--no-save-plots', ...logs];

const sha = (cwd: string, file: string) =>
  createHash('sha256')
    .update(readFileSync(join(cwd, file)))
    .digest('hex');
const epochsOf = (cwd: string) =>
  objects(readFileSync(join(cwd, 'files', 'metrics.jsonl'), 'utf8')).map(figures);

/** The outcome of the run that nothing disturbs. */
const undisturbed = (async () => {
  const cwd = folder.make();
  await succeeds([...run, ...kept], { cwd });
  return { model: sha(cwd, model), steps: sha(cwd, 'steps.csv'), epochs: epochsOf(cwd) };
})();

async function expectUndisturbed(cwd: string): Promise<void> {
  const expected = await undisturbed;
  expect({ model: sha(cwd, model), steps: sha(cwd, 'steps.csv'), epochs: epochsOf(cwd) }).toEqual(expected);
  expect(filesIn(cwd).filter((file) => /\.tmp$|\.lock$/.test(file))).toEqual([]);
}

describe('a run with --save_every', () => {
  it.skipIf(!posix)('goes on where it was killed', async () => {
    const cwd = folder.make();
    const { child, ended, says } = start([...run, ...kept, '--save_every', '7'], { cwd });
    await says(/"epoch":3,/);
    child.kill('SIGKILL');
    expect((await ended).status).toBe(null);
    // What a process leaves that is killed while it writes.
    writeFileSync(`${join(cwd, snapshot)}.0123abcd.tmp`, 'cut short');
    const lines = objects(await succeeds(['--resume', '--json'], { cwd }));
    expect(lines).toContainEqual({ snapshot, step: 1000 });
    await expectUndisturbed(cwd);
    const { resumed } = JSON.parse(readFileSync(join(cwd, 'files', 'run.json'), 'utf8'));
    expect(resumed).toEqual([
      { date: expect.any(String), step: expect.any(Number), adapter: expect.any(String), lr: 0.001 },
    ]);
  });

  it.runIf(long && posix)('goes on where it was interrupted, by the same command, twice', async () => {
    const cwd = folder.make();
    const command = [...run, ...kept, '--save_every', '1epoch', '--resume'];
    for (const sign of [/"epoch":2,/, /first_step/]) {
      const { child, ended, says } = start(command, { cwd });
      await says(sign);
      child.kill('SIGINT');
      const { status, stdout } = await ended;
      expect(status).toBe(130);
      expect(objects(stdout)).toContainEqual({ snapshot, step: expect.any(Number) });
    }
    await succeeds(command, { cwd });
    await expectUndisturbed(cwd);
  });

  it('is finished when it has ended, and leaves a model too', async () => {
    const cwd = folder.make();
    await succeeds([...run, ...kept, '--save_every', '2epochs'], { cwd });
    const before = sha(cwd, model);
    const lines = objects(await succeeds(['--resume', '--json'], { cwd }));
    expect(lines.map((line) => Object.keys(line)[0])).toEqual(['snapshot', 'model']);
    expect(sha(cwd, model)).toBe(before);
    // The snapshot is the model's file as well, for any command.
    const [of, saved] = await Promise.all([snapshot, model].map((file) => readModelFile(join(cwd, file))));
    expect(of).toEqual(saved);
    expect((await succeeds(['--resume', snapshot, '--json'], { cwd })).split('\n')).toHaveLength(3);
  });

  it.runIf(long)('does not take the place of another one', async () => {
    const cwd = folder.make();
    mkdirSync(join(cwd, 'files'));
    const { status, stderr } = await sae(['--resume'], { cwd });
    expect([status, stderr]).toEqual([
      1,
      `sae: There is no ${snapshot} to go on from. A training with --save_every leaves one in its --files_dir; or name it: --resume PATH.\n`,
    ]);
    await succeeds([...run, ...kept, '--save_every', '100'], { cwd });
    const first = sha(cwd, snapshot);
    const said = await sae([...run, ...kept, '--seed', '1', '--save_every', '100'], { cwd });
    const previous = join('files', 'snapshot.previous.safetensors');
    expect(said).toMatchObject({
      status: 0,
      stderr: `The snapshot of an earlier run was kept as ${previous}.\n`,
    });
    expect(sha(cwd, previous)).toBe(first);
    await succeeds(['--resume', previous, '--json', '--files_dir', 'again'], { cwd });
    expect(sha(cwd, join('again', 'sae.safetensors'))).toBe((await undisturbed).model);
  });

  it.runIf(long && posix)('writes everything again if its folder is removed meanwhile', async () => {
    const cwd = folder.make();
    const command = [...run, '--no-save-plots', '--save_every', '5'];
    const { child, ended, says } = start(command, { cwd });
    await says(/"epoch":2,/);
    // As a whole: the run writes there meanwhile.
    renameSync(join(cwd, 'files'), join(cwd, 'removed'));
    rmSync(join(cwd, 'removed'), { recursive: true, maxRetries: 10 });
    await says(/"epoch":6,/);
    child.kill('SIGINT');
    expect((await ended).status).toBe(130);
    const { epochs } = await undisturbed;
    expect(epochsOf(cwd)).toEqual(epochs.slice(0, epochsOf(cwd).length));
    expect(filesIn(cwd)).toEqual(
      ['metrics.jsonl', 'run.json', 'snapshot.safetensors'].map((name) => join('files', name)),
    );
  });

  it.runIf(long)('never saves if it is told so', async () => {
    const cwd = folder.make();
    await succeeds([...run, ...kept, '--save_every', 'never'], { cwd });
    expect(existsSync(join(cwd, snapshot))).toBe(false);
  });
});

describe('what cannot go on', () => {
  it.runIf(long && posix)('a snapshot that its own run replaces until the folder is free', async () => {
    const cwd = folder.make();
    await succeeds([...run, ...kept, '--save_every', '100'], { cwd });
    const before = sha(cwd, model);
    const replacing = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const { link } = fs.promises;
      fs.promises.link = (...args) => {
        fs.copyFileSync('${snapshot}', 'copy');
        fs.renameSync('copy', '${snapshot}');
        return link(...args);
      };
      syncBuiltinESMExports();`;
    const node = ['--import', `data:text/javascript,${encodeURIComponent(replacing)}`];
    const { status, stderr } = await sae(['--resume', '--json'], { cwd, node });
    expect([status, stderr]).toEqual([
      1,
      `sae: The run of ${snapshot} was at work until a moment ago, and saved it again. Give the command again.\n`,
    ]);
    expect(sha(cwd, model)).toBe(before);
  });

  const cwd = folder.make();
  const made = succeeds(
    [...run, '--no-save-plots', '--steps', '30', '--save_every', '10'].filter((word, i, all) => {
      return word !== '--epochs' && all[i - 1] !== '--epochs';
    }),
    { cwd },
  );
  const fails = async (args: readonly string[]) => {
    await made;
    const { status, stderr } = await sae(['--resume', ...args], { cwd });
    return [status, stderr.replace(/^sae: /, '').trimEnd()] as const;
  };

  it('other options, each of which is named', async () => {
    const [status, sentence] = await fails(['--lr', '0.1', '--h_dims', '9', '--seed', '42', '--quiet']);
    expect([status, sentence]).toEqual([
      2,
      `The run of ${snapshot} goes on as it was begun, and some options differ: h_dims is [9] and was [8]; lr is 0.1 and was 0.001. Leave ` +
        `them out, or begin a new run with its model: --init ${snapshot}.`,
    ]);
    expect(await fails(['--steps', '40'])).toEqual([2, expect.stringContaining('steps is 40 and was 30')]);
    expect(await fails(['--data', others])).toEqual([
      2,
      expect.stringContaining(`data is ["${others}"] and was ["${rows}"]`),
    ]);
  });

  it('other rows, in the place of the same name', async () => {
    await made;
    const before = readFileSync(rows);
    try {
      for (const [other, why] of [
        [others, 'their fingerprints differ'],
        [fewer, 'there are 399, and there were 400'],
      ]) {
        copyFileSync(other, rows);
        expect(await fails([])).toEqual([
          1,
          `The rows of rows.npy are not those of the run of ${snapshot}: ${why}. Give it the same rows, or begin a new run ` +
            `with its model: --init ${snapshot}.`,
        ]);
      }
    } finally {
      writeFileSync(rows, before);
    }
  });

  it('a damaged snapshot, or none', async () => {
    await made;
    const damaged = Buffer.from(readFileSync(join(cwd, snapshot)));
    damaged[damaged.length - 100] ^= 4;
    writeFileSync(join(cwd, 'damaged.safetensors'), damaged);
    const { status, stderr } = await sae(['--resume', 'damaged.safetensors'], { cwd });
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(
        /^sae: damaged\.safetensors is not a snapshot that can be read: its bytes have the checksum [0-9a-f]{8}, and [0-9a-f]{8} was expected\. It is damaged\.\n$/,
      ),
    ]);
    const none = await sae(['--resume', rows], { cwd });
    expect([none.status, none.stderr]).toEqual([
      1,
      expect.stringMatching(/^sae: .*rows\.npy is not a snapshot that can be read: /),
    ]);
  });
});

describe('a folder that another run writes to', () => {
  it.skipIf(!posix)('is refused, and is free when that one is dead', async () => {
    const cwd = folder.make();
    const endless = ['--data', rows, '--epochs', '1000000', '--no-save-plots', '--json'];
    const { child, ended, says } = start(endless, { cwd });
    await says(/"epoch":2,/);
    // It lives, and takes no time from what follows.
    child.kill('SIGSTOP');
    const short = [...run, '--epochs', '1', '--no-save-plots'];
    const { status, stderr } = await sae(short, { cwd });
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(
        new RegExp(
          `^sae: Another run \\(process ${child.pid} on \\S+\\) writes to the folder files\\. Wait for its end, or name`,
        ),
      ),
    ]);
    // Another folder of the same place is free.
    await succeeds([...short, '--files-dir', 'mine'], { cwd });
    child.kill('SIGKILL');
    await ended;
    expect(existsSync(join(cwd, 'files', 'run.lock'))).toBe(true);
    await succeeds(short, { cwd });
    expect(existsSync(join(cwd, 'files', 'run.lock'))).toBe(false);
  });
});

describe('a device that is lost', () => {
  const loses = (times: number) => [
    '--import',
    new URL(`lose-device.mjs?times=${times}`, import.meta.url).href,
  ];

  const places: [string, string[]][] = [
    ['its beginning', []],
    ['step [1-9]\\d*', ['--save_every', '5']],
  ];
  it.each(long ? places : places.slice(0, 1))(
    'is opened again, and training goes on from %s',
    async (place, saving) => {
      const cwd = folder.make();
      const { status, stdout, stderr } = await sae([...run, ...kept, ...saving], { cwd, node: loses(2) });
      const sentence = `The device was [^.\\n]+\\. It is opened again, and training goes on from ${place}\\.\n`;
      const givenUp = '(Epochs? \\d+( to \\d+)? above (is|are) given up: (it comes|they come) again\\.\n)?';
      expect([status, stderr]).toEqual([
        0,
        expect.stringMatching(new RegExp(`^(${sentence}${givenUp}){2}$`)),
      ]);
      await expectUndisturbed(cwd);
      // Of epochs that come again it is said which of those before do not count.
      const counted: unknown[] = [];
      const given: unknown[] = [];
      for (const { epoch, given_up } of objects(stdout) as { epoch?: number; given_up?: GivenUp }[]) {
        if (epoch) counted.push(epoch);
        if (!given_up) continue;
        given.push(given_up);
        const { length } = given_up.epochs;
        expect(counted.splice(counted.length - length)).toEqual(given_up.epochs);
        expect(Math.ceil(given_up.steps[1] / 50)).toBeGreaterThanOrEqual(counted.length + length);
      }
      expect(counted).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
      expect(JSON.parse(readFileSync(join(cwd, 'files', 'run.json'), 'utf8')).given_up).toEqual(given);
      if (saving.length === 0) expect(stderr).toMatch(/^Epochs 1 to \d+ above are given up/m);
    },
  );

  it.runIf(long)('again and again ends the run with a sentence, and what was saved is there', async () => {
    const cwd = folder.make();
    const { status, stdout, stderr } = await sae([...run, ...kept], { cwd, node: loses(99) });
    const lines = stderr.split('\n').filter((line) => !/ given up: /.test(line));
    expect(lines.slice(0, 3).every((line) => line.endsWith('goes on from its beginning.'))).toBe(true);
    expect(lines.slice(3)).toEqual([expect.stringMatching(/^sae: The device was [^\n]+\.$/), '']);
    expect(status).toBe(1);
    expect(stdout).not.toContain('"model"');
    expect(filesIn(cwd).filter((file) => /\.tmp$|\.lock$/.test(file))).toEqual([]);
  });
});

describe('a loss that stops being finite', () => {
  const diverges = [
    '--data',
    rows,
    '--h_dims',
    '4',
    '--batch_size',
    '40',
    '--epochs',
    '4',
    '--lr',
    '3e7',
    '--json',
  ];
  const saved = ['--save-model', '--no-save-plots'];

  it('is gone back from, with --on_divergence rollback, at half the learning rate, until it is finite', async () => {
    const cwd = folder.make();
    const { status, stdout, stderr } = await sae([...diverges, ...saved, '--on_divergence', 'rollback'], {
      cwd,
    });
    const said = stderr
      .split('\n')
      .slice(0, -1)
      .filter((line) => !line.startsWith('All latents are dead'));
    // That is found at the epoch's end, and the epoch was printed.
    const back = said.filter((_, i) => i % 2 === 0);
    expect(said.filter((_, i) => i % 2 === 1)).toEqual(
      back.map(() => 'Epoch 1 above is given up: it comes again.'),
    );
    expect(back.length).toBeGreaterThan(0);
    expect(back.length).toBeLessThanOrEqual(5);
    back.forEach((line, i) => {
      expect(line).toBe(
        `In epoch 1 at step 10, moments of encoder.0.weight stopped being finite. Training goes back to its beginning, with half the learning rate, ${3e7 / 2 ** (i + 1)}.`,
      );
    });
    expect(status).toBe(0);
    expect(objects(readFileSync(join(cwd, 'files', 'metrics.jsonl'), 'utf8'))).toHaveLength(4);
    expect(objects(stdout).at(-1)).toEqual({ model });
    const { training } = await readModelFile(join(cwd, model));
    expect(training?.lr).toBe(3e7 / 2 ** back.length);
    const { resumed, given_up } = JSON.parse(readFileSync(join(cwd, 'files', 'run.json'), 'utf8'));
    expect(resumed).toEqual([expect.objectContaining({ step: 0, lr: training?.lr })]);
    const [why] = back[0].split(/(?<=\.) /);
    expect(given_up).toEqual(back.map(() => ({ steps: [1, 10], epochs: [1], why })));
  });

  it.runIf(long)('ends the run after five times, and the last good model is kept', async () => {
    const cwd = folder.make();
    const args = [...diverges, ...saved, '--lr', '1e30', '--on_divergence', 'rollback'];
    const { status, stderr } = await sae(args, { cwd });
    expect(stderr.match(/goes back to its beginning/g)).toHaveLength(5);
    expect(stderr).toMatch(
      /\nsae: The loss stopped being finite in epoch 1 at step 2\. .*, in \w+\.0\.\w+\.\n$/,
    );
    expect(status).toBe(1);
    for (const { data } of (await readModelFile(join(cwd, model))).parameters.values()) {
      expect(data.every(Number.isFinite)).toBe(true);
    }
  });
});

describe('rows with nothing to learn', () => {
  it('that are all the same are named', async () => {
    const same = folder.write('same.npy', npy([50, 4], new Float32Array(200).fill(2)));
    const { status, stderr } = await sae(
      ['--data', same, '--normalize', 'none', '--h_dims', '3', '--epochs', '1', '--no-save-plots', '--json'],
      { cwd: folder.make() },
    );
    expect([status, stderr]).toEqual([
      0,
      'All rows of same.npy are the same, so there is nothing in them to learn.\n',
    ]);
  });

  it('whose squares f32 does not hold are refused', async () => {
    for (const scale of [1e-30, 1e-41]) {
      const tiny = folder.write(
        'tiny.npy',
        npy(
          [50, 4],
          Float32Array.from(bytes(200), (value) => value * scale),
        ),
      );
      const { status, stderr } = await sae(
        ['--data', tiny, '--normalize', 'none', '--h_dims', '3', '--epochs', '1', '--no-save-plots'],
        { cwd: folder.make() },
      );
      expect([status, stderr]).toEqual([
        1,
        expect.stringMatching(
          /^sae: The rows of tiny\.npy differ by no more than about \de-\d\d, whose squares are 0 in f32, so nothing could be learned/,
        ),
      ]);
    }
  });
});
