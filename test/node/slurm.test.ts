import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { goesOnLater, slurmScript } from '../../src/node/slurm.js';
import { ConfigError } from '../../src/sae/errors.js';

// Slurm's own programs are those of test/fleet/slurm.test.ts; here bash runs the script with others in their place.
const folder = mkdtempSync(join(tmpdir(), 'sae-slurm-'));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(
  join(folder, 'srun'),
  `#!/bin/bash\nprintf '%s\\n' "$SRUN_CPUS_PER_TASK" "$@" > "${folder}/srun.txt"\nexit "$STATUS"\n`,
);
writeFileSync(
  join(folder, 'scontrol'),
  `#!/bin/bash\necho "$@" >> "${folder}/scontrol.txt"\n[ "$(wc -l < "${folder}/scontrol.txt")" -ge "$TRIES" ]\n`,
);
writeFileSync(join(folder, 'sleep'), '#!/bin/bash\n');
for (const name of ['srun', 'scontrol', 'sleep']) chmodSync(join(folder, name), 0o755);

function run(script: string, task: number, { status = 0, tries = 1, ...more }: Record<string, unknown> = {}) {
  rmSync(join(folder, 'scontrol.txt'), { force: true });
  const ended = spawnSync('bash', ['--norc', '-c', script], {
    env: {
      PATH: `${folder}:${process.env.PATH}`,
      SLURM_ARRAY_TASK_ID: `${task}`,
      SLURM_JOB_ID: '77',
      STATUS: `${status}`,
      TRIES: `${tries}`,
      ...more,
    },
    encoding: 'utf8',
  });
  expect(ended.stderr).toBe('');
  return ended.status;
}

const said = (name: string) =>
  readFileSync(join(folder, `${name}.txt`), 'utf8')
    .trimEnd()
    .split('\n');

test('a task runs the worker of its group, with every word as it was given', () => {
  const script = slurmScript({
    store: 's3://b/it\'s $HOME `x` "q"',
    sweep: 'a b',
    groups: 7,
    command: ['/opt/my node/node', 'main.js'],
  });
  expect(run(script, 6, { SLURM_CPUS_PER_TASK: '5' })).toBe(0);
  expect(said('srun')).toEqual([
    '5',
    '--ntasks=1',
    '/opt/my node/node',
    'main.js',
    'worker',
    '--store',
    's3://b/it\'s $HOME `x` "q"',
    '--sweep',
    'a b',
    '--group',
    '6',
  ]);
  expect(script).toContain('#SBATCH --array=0-6\n');
});

test.each([
  [0, 0, 0],
  [1, 1, 0],
  [goesOnLater, goesOnLater, 1],
  [143, 143, 0],
])('a worker that ends with status %i', (status, own, requeues) => {
  const script = slurmScript({ store: '/s', sweep: 's', groups: 1 });
  expect(run(script, 0, { status })).toBe(own);
  if (requeues) expect(said('scontrol')).toEqual(['requeue 77']);
  else expect(() => said('scontrol')).toThrow('ENOENT');
});

test('a controller that does not answer at once is asked again, a few times', () => {
  const script = slurmScript({ store: '/s', sweep: 's', groups: 1 });
  expect(run(script, 0, { status: goesOnLater, tries: 3 })).toBe(goesOnLater);
  expect(said('scontrol')).toHaveLength(3);
  run(script, 0, { status: goesOnLater, tries: 99 });
  expect(said('scontrol')).toHaveLength(5);
});

test('where there are more groups than tasks, all are run, each by one task', () => {
  for (const groups of [1001, 2500]) {
    const script = slurmScript({ store: '/s', sweep: 's', groups, atOnce: 8 });
    expect(script).toContain('#SBATCH --array=0-1000%8\n');
    const argument = script.match(/--group (.*)\n/)?.[1];
    const { stdout } = spawnSync(
      'bash',
      ['--norc', '-c', `for SLURM_ARRAY_TASK_ID in {0..1000}; do echo ${argument}; done`],
      { encoding: 'utf8' },
    );
    const tasks = stdout.trimEnd().split('\n');
    expect(tasks).toHaveLength(1001);
    const all = tasks.flatMap((task) => task.split(',').map(Number));
    expect(all.sort((a, b) => a - b)).toEqual(Array.from({ length: groups }, (_, at) => at));
  }
});

test("a user's options come last", () => {
  const script = slurmScript({
    store: '/s',
    sweep: 's/1',
    groups: 2,
    directives: ['--partition=gpu', '-A lab'],
  });
  const lines = script.split('\n').filter((line) => line.startsWith('#SBATCH'));
  expect(lines.slice(-2)).toEqual(['#SBATCH --partition=gpu', '#SBATCH -A lab']);
  expect(lines[0]).toBe('#SBATCH --job-name=s_1');
});

test.each([
  [{ groups: 0 }, 'groups is 0'],
  [{ groups: 1.5 }, 'groups is 1.5'],
  [{ atOnce: -1 }, 'atOnce is -1'],
  [{ directives: ['partition=gpu'] }, 'is not an option of sbatch'],
  [{ directives: ['--a\nrm -r /'] }, 'is not an option of sbatch'],
  [{ store: 'a\0b' }, 'zero byte'],
])('%j is refused', (wrong, sentence) => {
  const options = { store: '/s', sweep: 's', groups: 1, ...wrong };
  expect(() => slurmScript(options)).toThrow(sentence);
  expect(() => slurmScript(options)).toThrow(ConfigError);
});
