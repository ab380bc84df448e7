import { readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeAdapters } from '../../src/node/adapters.js';
import { long } from '../support/long.js';
import { bytes, figures, npy, objects, sae, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([100, 16], bytes(1600)));
const training = ['--data', rows, '--h_dims', '[4]', '--epochs', '2', '--no-save-plots', '--json'];
/**
 * A cache of the test's own. On Linux, where it is looked for here; elsewhere the user's is used. What Mesa has compiled stays
 * where it is.
 */
const cache = () => ({
  XDG_CACHE_HOME: folder.make(),
  MESA_SHADER_CACHE_DIR: process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
});
const onLinux = process.platform === 'linux';

describe('tuning', () => {
  it('run.json tells what a run was, and its tiles repeat it', async () => {
    const cwd = folder.make();
    const first = objects(await succeeds(training, { cwd })).map(figures);
    const file = join(cwd, 'files', 'run.json');
    const run = JSON.parse(readFileSync(file, 'utf8'));
    expect(run).toEqual({
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      command: [...training],
      date: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      model: { in_dims: 16, h_dims: [4], activation: 'relu' },
      training: expect.objectContaining({ batch_size: 64, epochs: 2, lr: 1e-4, seed: 42 }),
      data: { name: 'rows.npy', rows: 100, normalization: expect.anything() },
      adapter: expect.objectContaining({ driver: expect.any(String) }),
      tiles: expect.anything(),
    });
    // A product each for two layers forward and for their weights' gradients, and one for the hidden layer's.
    expect(Object.keys(run.tiles).sort()).toEqual([
      'nn 64x4x16',
      'nt 64x16x4',
      'nt 64x4x16',
      'tn 16x8x64',
      'tn 4x20x64',
    ]);
    const again = await succeeds([...training, '--tune', file], { cwd: folder.make() });
    expect(objects(again).map(figures)).toEqual(first);
  });

  it.each([
    ['sideways', /which cannot be read: the folder does not exist\.$/],
    [rows, /which is not JSON\.$/],
  ])('--tune %s is refused', async (tune, why) => {
    const cwd = folder.make();
    const { status, stdout, stderr } = await sae([...training, '--tune', tune], { cwd });
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^sae: tune must be off, quick, full or the run\.json of an earlier run, and is /);
    expect(stderr.trimEnd()).toMatch(why);
  });

  it('tiles of another adapter are refused', async () => {
    const cwd = folder.make();
    const tile = { family: 'split', splits: 7, tile_rows: 1, tile_columns: 1 };
    writeFileSync(join(cwd, 'run.json'), JSON.stringify({ tiles: { 'nt 64x4x16': tile } }));
    const { status, stderr } = await sae([...training, '--tune', 'run.json'], { cwd });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^sae: The tile given for nt 64x4x16 is not one that this adapter .* can use/);
  });

  it.runIf(long && onLinux)('full times tiles, and devices --tuning shows which were fastest', async () => {
    const cwd = folder.make();
    const env = cache();
    const before = await succeeds(['devices', '--tuning'], { cwd, env });
    expect(before).toContain('no tiles were timed on it yet');
    await succeeds([...training, '--tune', 'full', '--epochs', '1'], { cwd, env });
    const { tiles } = JSON.parse(readFileSync(join(cwd, 'files', 'run.json'), 'utf8'));
    const [used] = (await describeAdapters()).filter(({ used }) => used);
    const listed = objects(await succeeds(['devices', '--tuning', '--json'], { cwd, env }));
    expect(listed.find(({ name }) => name === used.name)?.tiles).toEqual(tiles);
    const after = await succeeds(['devices', '--tuning'], { cwd, env });
    for (const [shape, { family }] of Object.entries(tiles as Record<string, { family: string }>)) {
      expect(after).toMatch(new RegExp(`^ {4}${shape} +${family} `, 'm'));
    }
  });
});
