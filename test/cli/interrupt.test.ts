import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { encodeModel, readModelFile } from '../../src/node/index.js';
import { long } from '../support/long.js';
import { bytes, digitsFile, filesIn, npy, objects, start, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
const model = join('files', 'sae.safetensors');
const metrics = join('files', 'metrics.jsonl');
const run = join('files', 'run.json');
const stopping = 'Stopping after the current steps; press Ctrl-C again to quit at once.\n';

/** Waits until `done` gives something. */
async function until<T>(done: () => T | undefined | false): Promise<T> {
  for (;;) {
    const result = done();
    if (result) return result;
    await pause(1);
  }
}

describe.skipIf(process.platform === 'win32')('Ctrl-C', () => {
  it('once: the epochs so far are on record, the model is saved, pictures are drawn; status 130', async () => {
    const cwd = folder.make();
    // In long, that `auto` trains 120 epochs where it falls back, too, which nobody would wait for here.
    const some = folder.write('some.npy', npy([6000, 16], bytes(96_000)));
    const own = ['--data', some, '--epochs', '120', '--h_dims', '20'];
    const args = [...(long ? ['--no-download-mnist', '--data-dir', cwd] : own), '--save-model'];
    const { child, ended, says } = start(args, { cwd });
    await says(/epoch {3}2\/120 /);
    child.kill('SIGINT');
    // npm repeats the signal at once, which is no second Ctrl-C.
    await pause(10);
    child.kill('SIGINT');
    const { status, stdout, stderr } = await ended;
    expect([status, stderr]).toEqual([130, '']);
    if (long) expect(stdout).toMatch(/instead, for 120 epochs because they are fewer\.\n/);
    expect(stdout).toContain(`\n${stopping}`);
    expect(stdout).toContain(`\nmodel     ${model}\n`);
    const epochs = objects(readFileSync(join(cwd, metrics), 'utf8')).map(({ epoch }) => epoch);
    expect(epochs.slice(0, 2)).toEqual([1, 2]);
    expect(epochs.length).toBe(stdout.match(/^epoch +\d+\/120 /gm)?.length);
    expect(epochs.length).toBeLessThan(120);
    const pictures = ['features', 'loss', 'plot'].map((name) => join('images', `${name}.png`));
    const others = ['densities.safetensors', 'metrics.jsonl', 'report.html'].map((name) =>
      join('files', name),
    );
    const snapshot = join('files', 'snapshot.safetensors');
    expect(stdout).toContain(`\nsnapshot  ${snapshot} (step `);
    expect(filesIn(cwd)).toEqual([...others, run, model, snapshot, ...pictures]);
    expect((await readModelFile(join(cwd, model))).config.h_dims).toEqual([20]);
  });

  it.runIf(long)('twice: ends at once with 130, whatever was still to be done', async () => {
    const cwd = folder.make();
    const many = folder.write('many.npy', npy([20_000, 16], bytes(320_000)));
    // A picture of all rows, which takes many seconds.
    const args = ['--data', many, '--epochs', '1000000', '--num_samples', '20000', '--json'];
    const { child, ended, says } = start(args, { cwd });
    await says(/"epoch":1,/);
    child.kill('SIGINT');
    await says(/Stopping/);
    await pause(400);
    child.kill('SIGINT');
    const { status, stdout, stderr } = await ended;
    expect([status, stderr]).toEqual([130, stopping]);
    expect(
      objects(stdout)
        .slice(1)
        .every(({ epoch, snapshot }) => epoch ?? snapshot),
    ).toBe(true);
    expect(filesIn(cwd)).toEqual([metrics, run, join('files', 'snapshot.safetensors')]);
  });

  it('takes away what encode has written', async () => {
    const cwd = folder.make();
    // Large enough to be in the middle of it for a while.
    const [in_dims, latents] = [784, 1024];
    const tensor = (shape: number[]) => ({
      shape,
      data: Float32Array.from(bytes(shape.reduce((a, b) => a * b)), (byte) => byte / 255 - 0.5),
    });
    const parameters = new Map([
      ['encoder.0.weight', tensor([latents, in_dims])],
      ['encoder.0.bias', tensor([latents])],
      ['decoder.0.weight', tensor([in_dims, latents])],
      ['decoder.0.bias', tensor([in_dims])],
    ]);
    mkdirSync(join(cwd, 'files'));
    const config = { in_dims, h_dims: [latents], activation: 'relu' as const };
    writeFileSync(join(cwd, model), encodeModel({ config, parameters }));

    const { child, ended } = start(['encode', model, '--data', digitsFile, '--out', 'out.npz'], { cwd });
    // The command's own folder for what does not fit in memory comes and goes here, which a walk would trip over.
    await until(() => readdirSync(cwd).some((file) => file.endsWith('.tmp')));
    child.kill('SIGINT');
    expect((await ended).status).toBe(130);
    expect(filesIn(cwd)).toEqual([model]);
  });
});

it.runIf(long)('a kill while the model is saved leaves the old file or the new one', async () => {
  const cwd = folder.make();
  // Some 25 MB, so that the kill comes in the middle of it.
  const wide = folder.write('wide.npy', npy([2, 1024], bytes(2048)));
  const files = join(cwd, 'files');
  const args = ['--data', wide, '--h_dims', '[3000]', '--no-save-plots', '--save-model', '--epochs', '1'];
  await succeeds(args, { cwd });
  const file = join(cwd, model);
  const again = ['--train=False', '--init', file, '--data', wide, '--no-save-plots', '--save-model'];
  const before = readFileSync(file);
  let caught = 0;
  for (const wait of [0, 3, 10]) {
    const known = new Set(readdirSync(files));
    const { child, ended } = start(again, { cwd });
    await until(() => child.exitCode !== null || readdirSync(files).some((name) => !known.has(name)));
    await pause(wait);
    child.kill('SIGKILL');
    await ended;
    caught += readdirSync(files).length - known.size;
    const after = await readModelFile(file);
    expect(after.config).toEqual({ in_dims: 1024, h_dims: [3000], activation: 'relu' });
    expect(readFileSync(file).equals(before)).toBe(true);
  }
  // At least one of them was killed while its temporary file was there.
  expect(caught).toBeGreaterThan(0);
});
