import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bytes, filesIn, npy, objects, readSafetensors, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([50, 16], bytes(800)));

it('a training with L1: its term in figures, files and pictures, its options in the saved model, from which it goes on', async () => {
  const cwd = folder.make();
  const options = ['--sparsity', 'l1', '--sparsity_lambda', '0.01', '--no-l1-weighted'];
  const args = ['--data', rows, '--h_dims', '4', '--epochs', '2', ...options, '--save-model', '--json'];
  const lines = objects(await succeeds(args, { cwd }));
  const [epoch] = lines.filter((line) => 'epoch' in line);
  const figures = [
    'epoch',
    'loss',
    'mse',
    'explained_variance',
    'l1',
    'active',
    'dead',
    'dense',
    'samples_per_second',
    'seconds',
  ];
  expect(Object.keys(epoch)).toEqual(figures);
  expect(Number(epoch.loss)).toBeCloseTo(16 * Number(epoch.mse) + 0.01 * Number(epoch.l1), 5);
  expect(filesIn(cwd)).toContain(join('images', 'loss.png'));
  const file = join(cwd, 'files/sae.safetensors');
  expect(JSON.parse(readSafetensors(file).metadata.training)).toMatchObject({
    sparsity: 'l1',
    sparsity_lambda: 0.01,
    l1_weighted: false,
  });
  const text = await succeeds(['reconstruct', file, '--data', rows], { cwd: folder.make() });
  expect(text).toMatch(
    /^rows\.npy {3}loss [\d.]+ {2}mse [\d.]+ {2}R2 -?[\d.]+ {2}l1 [\d.]+ {2}L0 [\d.]+ {2}dead \d {2}dense \d\n/,
  );
  // It is measured as it was trained, and whoever trains on with another penalty is told.
  const measure = ['--init', file, '--data', rows, '--no-save-plots', '--validation', rows];
  const held = await succeeds([...measure, '--no-train'], { cwd: folder.make() });
  expect(/held out +(loss .*)\n/.exec(held)?.[1]).toBe(/rows\.npy +(loss .*)\n/.exec(text)?.[1]);
  expect(await succeeds([...measure, '--epochs', '1'], { cwd: folder.make() })).toMatch(
    /^The model was trained with sparsity l1 and is now trained with kl; use --sparsity l1 to go on as before\.\n/,
  );
  const again = [
    '--init',
    file,
    '--data',
    rows,
    '--epochs',
    '1',
    '--sparsity',
    'l1',
    '--no-save-plots',
    '--json',
  ];
  expect(objects(await succeeds(again, { cwd })).find((line) => 'epoch' in line)).toHaveProperty('l1');
});
