import { ConfigError } from '../sae/errors.js';

export interface SlurmOptions {
  /** Where the trials are, as `sae worker --store` has it. */
  readonly store: string;
  readonly sweep: string;
  /** Of trials: they are numbered from 0. */
  readonly groups: number;
  /** How many tasks may run at once: as many as there is room for if it is not given. */
  readonly atOnce?: number;
  /** Options of sbatch that the user adds, such as `--partition=gpu`, `--gres=gpu:1` and `--time=24:00:00`. They have the last word. */
  readonly directives?: readonly string[];
  /** What runs `sae`, with arguments: the one on the PATH if it is not given. */
  readonly command?: readonly string[];
}

/** A task of an array has a number below it, in Slurm as it comes. */
const mostTasks = 1001;

/** With which a worker ends that goes on later, as before its time is up: EX_TEMPFAIL of sysexits.h. */
export const goesOnLater = 75;

/**
 * The batch script of a sweep, for sbatch: a task for each group of trials, or for several where there are too many.
 *
 * Two minutes before a task's time is up its worker gets SIGUSR2, and may end with status 75: the task is put back, and the same worker is
 * begun anew. A node that fails, or a preemption, puts a task back as well. Slurm says in CUDA_VISIBLE_DEVICES which GPUs a task has.
 * @throws ConfigError
 */
export function slurmScript({
  store,
  sweep,
  groups,
  atOnce,
  directives = [],
  command = ['sae'],
}: SlurmOptions): string {
  for (const [what, count] of Object.entries({ groups, atOnce: atOnce ?? 1 })) {
    if (!Number.isSafeInteger(count) || count < 1) {
      throw new ConfigError(`${what} is ${count}, and a job of Slurm needs a whole number from 1.`);
    }
  }
  const wrong = directives.find((one) => !/^--?[a-zA-Z][^\n\r]*$/.test(one));
  if (wrong !== undefined) {
    throw new ConfigError(
      `${JSON.stringify(wrong)} is not an option of sbatch. For example: --partition=gpu`,
    );
  }
  const tasks = Math.min(groups, mostTasks);
  const own =
    groups === tasks
      ? '"$SLURM_ARRAY_TASK_ID"'
      : `"$(seq -s , "$SLURM_ARRAY_TASK_ID" ${tasks} ${groups - 1})"`;
  const worker = [...command, 'worker', '--store', store, '--sweep', sweep].map(quoted).join(' ');
  const lines = [
    `--job-name=${sweep.replace(/[^\w.-]/g, '_')}`,
    `--array=0-${tasks - 1}${atOnce ? `%${atOnce}` : ''}`,
    '--requeue',
    '--open-mode=append',
    '--signal=USR2@120',
    ...directives,
  ];
  return `#!/bin/bash
${lines.map((line) => `#SBATCH ${line}\n`).join('')}
# Slurm gives signals to what srun starts, not to what this shell would start. Of itself srun does not know the cores of a task.
export SRUN_CPUS_PER_TASK="\${SLURM_CPUS_PER_TASK:-1}"
srun --ntasks=1 ${worker} --group ${own}
status=$?
# It has saved what it did and goes on later, as before its time is up.
if [ "$status" -eq ${goesOnLater} ]; then
  for try in 1 2 3 4 5; do
    scontrol requeue "$SLURM_JOB_ID" && break
    sleep 5
  done
fi
exit "$status"
`;
}

/** A word of a shell's command. */
function quoted(word: string): string {
  if (word.includes('\0'))
    throw new ConfigError('A word of a command has a zero byte, and cannot be given to a program.');
  return /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
