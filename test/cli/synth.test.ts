import { describe, expect, it } from 'vitest';
import { objects, sae, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();

describe('sae synth', () => {
  it('trains on the stream, and scores', async () => {
    const args = ['synth', '--steps', '300', '--json'];
    const [scores, ...more] = objects(await succeeds(args, { cwd: folder.path }));
    expect(more).toEqual([]);
    expect(scores).toMatchObject({ preset: 'tiny', steps: 300, h_dims: [32], batch_size: 64, seed: 42 });
    // The rows have 1.5 features each; untrained latents match by chance, at 0.5.
    expect(scores.true_l0).toBeGreaterThan(1);
    expect(scores.true_l0).toBeLessThan(2);
    expect(scores.mcc).toBeGreaterThan(0.6);
    expect(scores.r2).toBeGreaterThan(0.3);
    for (const name of ['mcc', 'uniqueness', 'precision', 'recall', 'f1']) {
      expect(scores[name]).toBeGreaterThan(0);
      expect(scores[name]).toBeLessThan(1);
    }
  });

  it('takes the options of train, and prints a table', async () => {
    const options = [
      '--h_dims',
      '8',
      '--steps',
      '20',
      '--sparsity',
      'none',
      '--batch_size',
      '32',
      '--seed',
      '7',
    ];
    const text = await succeeds(['synth', ...options], { cwd: folder.path });
    expect(text).toMatch(
      /^device .*\ndata {8}tiny: 32 features in 16 dimensions\ntraining {4}20 steps of 32 rows\nparameters {2}280 \(16-8-16\)\n/,
    );
    for (const score of ['MCC', 'uniqueness', 'F1', 'precision', 'recall', 'L0', 'R2', 'MSE']) {
      expect(text).toMatch(new RegExp(`^${score} +-?[\\d.e-]+( {2}.*)?$`, 'm'));
    }
    expect(text).toMatch(/^dead +\d {2}of 8 latents$/m);
  });

  it.each([
    [['--steps', '0'], 'steps must be a whole number of at least 1, and is 0.'],
    [['--sparsity', 'none', '--sparsity_lambda', '1'], 'sparsity_lambda is an option of sparsity kl, l1'],
    [['--no-pre_bias', '--pre_bias_init', 'mean'], 'pre_bias_init is mean, and the model has no pre_bias.'],
    [['--epochs', '2'], "unknown option '--epochs'"],
    [['--watch', '--json'], 'watch draws on the terminal, where json leaves no room for it. Leave one out.'],
  ])('%j is wrong usage', async (options, message) => {
    const { status, stderr, stdout } = await sae(['synth', ...options], { cwd: folder.path });
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });
});
