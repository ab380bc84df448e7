import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { long } from '../support/long.js';
import { bytes, filesIn, npy, objects, sae, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([100, 16], bytes(1600)));
const training = ['--data', rows, '--h_dims', '[4]', '--epochs', '2', '--no-save-plots', '--save-model'];
/** A cache of the test's own, where it is looked for on Linux; but for what Mesa has compiled. */
const cache = () => ({
  XDG_CACHE_HOME: folder.make(),
  MESA_SHADER_CACHE_DIR: process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
});
const wrong = ['--import', fileURLToPath(new URL('wrong-kernel.mjs', import.meta.url))];
const checked = /^checked {5}\d+ known answers, since adapter, driver or kernels are new$/m;

describe.runIf(process.platform === 'linux')('an adapter', () => {
  it('is checked when it is first used, for what it is used for, and then no more', async () => {
    const cwd = folder.make();
    const env = cache();
    const first = await sae(training, { cwd, env });
    expect([first.status, first.stderr]).toEqual([0, '']);
    // After the first step, and before the first figures.
    expect(first.stdout.replace(/\n.*samples\/s/g, '\nfigures')).toMatch(
      /first step.*\nchecked.*\nfigures\nfigures/,
    );
    expect(first.stdout).toMatch(checked);
    const again = await sae(training, { cwd, env });
    expect([again.status, again.stdout.match(checked)]).toEqual([0, null]);
    // Other kernels are new; figures for programs are not disturbed.
    const model = join(cwd, 'files', 'sae.safetensors');
    const encoding = ['encode', model, '--data', rows, '--out', join(cwd, 'codes.npy')];
    expect((await sae(encoding, { cwd, env })).stdout).toMatch(checked);
    expect((await sae([...encoding, '--json'], { cwd, env })).stdout).not.toMatch(checked);
    const [stored] = Object.values<{ passed: string[] }>(
      JSON.parse(readFileSync(join(env.XDG_CACHE_HOME, 'webgpu-sae', 'checks.json'), 'utf8')),
    );
    expect(stored.passed).toEqual(expect.arrayContaining(['training kl', 'selection of each row']));
    expect(stored.passed).not.toContain('training topk');
  });

  it('that is wrong is refused, with what fails and how to go on; and nothing is left of it', async () => {
    const cwd = folder.make();
    const env = cache();
    const { status, stderr } = await sae(training, { cwd, env, node: wrong });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^sae: .* computes wrong answers: training kl, 21-13, batches of 15: [^:]*: off by [\d.e-]+, where at most 0.000005 is right\. Nothing is saved\. /,
    );
    expect(stderr).toMatch(/--adapter; sae devices --check lists all that fails\. With SAE_UNCHECKED=1 /);
    expect(filesIn(cwd)).toEqual([]);
  });

  it.runIf(long)('that is wrong is refused again, unless the user insists', async () => {
    const cwd = folder.make();
    const env = cache();
    await sae(training, { cwd, env, node: wrong });
    expect((await sae(training, { cwd, env, node: wrong })).status).toBe(1);

    const insisting = await sae(training, { cwd, env: { ...env, SAE_UNCHECKED: '1' }, node: wrong });
    expect([insisting.status, insisting.stderr]).toEqual([0, '']);
    expect(insisting.stdout).toMatch(/^Whether .* computes right is not checked: SAE_UNCHECKED is set\.$/m);
    const model = join(cwd, 'files', 'sae.safetensors');
    const encoding = ['encode', model, '--data', rows, '--out', join(cwd, 'codes.npy')];
    expect((await sae(encoding, { cwd, env, node: wrong })).stderr).toMatch(/answers: update by Adam, /);
    expect(filesIn(cwd)).not.toContain('codes.npy');
  });

  it.runIf(long)('is checked as a whole by devices --check, which lists what it finds', async () => {
    const cwd = folder.make();
    const env = cache();
    const { status, stdout, stderr } = await sae(['devices', '--check'], { cwd, env, node: wrong });
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /^ {4}right {2}product nt \w+, 133x141x67: .*: off by [\d.e-]+, where at most [\d.e-]+ is right$/m,
    );
    expect(stdout).toMatch(/^ {4}WRONG {2}update by Adam, 1,003 values: parameters: /m);
    expect(stderr).toMatch(/^sae: .* fails \d+ of \d+ checks: update by Adam, lists of topk, /);

    const json = await sae(['devices', '--check', '--json'], { cwd, env });
    expect(json.status).toBe(0);
    const [{ checks }] = objects(json.stdout) as { checks: Record<string, unknown>[] }[];
    expect(checks.length).toBeGreaterThan(20);
    for (const check of checks) {
      expect(check).toEqual({
        name: expect.any(String),
        size: expect.any(String),
        ok: true,
        what: expect.any(String),
        error: expect.any(Number),
        bound: expect.any(Number),
      });
    }
    // All of it is known then.
    expect((await sae([...training, '--sparsity', 'topk'], { cwd, env })).stdout).not.toMatch(checked);
  });
});
