// The sweeps that are tortured: what they come to where nothing disturbs them, and what of a store's content is wrong.
import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { beds } from './fleet-beds.mjs';
import { prepare } from './jobs.mjs';
import { start } from './runs.mjs';

/** Milliseconds after which a silent worker counts as dead. */
export const lease = 5000;
/** Milliseconds after which workers hang, on a busy machine too. */
export const patience = 600_000;

const rows = ['--data', 'rows.npy', '--h-dims', '[8]', '--batch-size', '4', '--epochs', '6'];
const plain = [...rows, '--sparsity', 'topk', '--lr', '1e-3,3e-3', '--side-by-side', '2'];
/** What is swept, by name: one sweep or several, that share trials. */
export const jobs = {
  plain: [[...plain, '--k', '2,3']],
  'two that overlap': [
    [...plain, '--k', '2,3'],
    [...plain, '--k', '3,4'],
  ],
  halving: [
    [
      ...[...rows, '--sparsity', 'topk', '--k', '2', '--lr', '1e-4,1e-3,3e-3,1e-2'],
      ...['--halving', '2', '--side-by-side', '4'],
    ],
  ],
};

export const worker = ['worker', '--adapters', 'llvmpipe', '--json'];
/** Bits do not depend on it, and starts are shorter. */
export const quick = { GALLIVM_PERF: 'nopt', SAE_LEASE: `${lease / 1000}` };

/** What a job gives that nothing disturbs, and a store in which it is to be done. */
export async function undisturbed(folder, job) {
  const cwd = mkdtempSync(join(folder, 'undisturbed-'));
  prepare(cwd);
  const done = async (args) => {
    const { status, stdout, stderr } = await start(args, { cwd, env: quick, patience }).ended;
    if (status !== 0) throw new Error(`What nothing disturbs ended with ${status}: ${stderr}`);
    return stdout;
  };
  const sweeps = [];
  for (const [i, args] of jobs[job].entries()) {
    // With a script for Slurm, sweeps are written and not begun.
    const own = ['--save-every', '50', '--adapters', 'llvmpipe', '--json', '--slurm', `script${i}`];
    const [line] = (await done(['sweep', ...args, ...own, '--store', 'template'])).split('\n');
    sweeps.push(JSON.parse(line));
  }
  const template = join(cwd, 'template');
  const bed = await beds.folder(join(cwd), template);
  for (const { sweep } of sweeps) await done([...worker, ...bed.source, '--sweep', sweep]);
  return { template, sweeps, outcome: await outcomeOf(bed) };
}

export const trialsOf = async (bed) =>
  (await bed.keys()).flatMap((key) => {
    const [, trial] = /^trials\/(\w+)\/trial\.json$/.exec(key) ?? [];
    return trial ? [trial] : [];
  });

export const statesOf = async (bed, trial) =>
  (await bed.versions(`trials/${trial}/state.json`)).map((text) => JSON.parse(text));
export const isFinal = ({ state }) => state !== 'open' && state !== 'running';

/** What all trials came to, without what the clock decides. */
export async function outcomeOf(bed) {
  const outcomes = [];
  for (const trial of await trialsOf(bed)) {
    const { state, steps, result, failure } = (await statesOf(bed, trial)).at(-1) ?? {};
    if (!result) {
      outcomes.push(JSON.stringify({ trial, state, failure }));
      continue;
    }
    const lines = (await bed.read(result.history)).toString().trimEnd().split('\n');
    const history = lines.map((line) => ({
      ...JSON.parse(line),
      samples_per_second: 0,
      seconds: 0,
      first_step_seconds: 0,
    }));
    const model = createHash('sha256')
      .update(await bed.read(result.model))
      .digest('hex');
    outcomes.push(JSON.stringify({ trial, state, steps, metrics: result.metrics, model, history }));
  }
  return outcomes;
}

/** Trials that are not final. */
export async function leftIn(bed) {
  const left = [];
  for (const trial of await trialsOf(bed)) {
    if (!isFinal((await statesOf(bed, trial)).at(-1) ?? { state: 'open' })) left.push(trial);
  }
  return left;
}

/** What is wrong with a store whose sweeps have ended, in sentences. @param {readonly string[]} outcome what they came to undisturbed */
export async function wrongIn(bed, outcome) {
  const wrong = [];
  const now = await outcomeOf(bed);
  outcome.forEach((wanted, i) => {
    if (wanted !== now[i]) wrong.push(`there is ${now[i]?.slice(0, 400)} and was ${wanted.slice(0, 400)}`);
  });
  const named = new Set();
  for (const trial of await trialsOf(bed)) {
    const states = await statesOf(bed, trial);
    if (states.filter(isFinal).length !== 1 || !isFinal(states.at(-1))) {
      wrong.push(`the states of ${trial} are ${states.map(({ state }) => state)}`);
    }
    const { snapshot, result } = states.at(-1) ?? {};
    for (const key of [snapshot, result?.model, result?.history]) named.add(key);
  }
  // A worker that is killed while it tries a store leaves what it tries it with.
  const own = /^(sweeps\/\w+\.json|ended\/\w+\/\d+|trials\/\w+\/(trial|state)\.json(~\d+)?|probe-.*)$/;
  const left = (await bed.keys()).filter((key) => !own.test(key) && !named.has(key));
  if (left.length > 0) wrong.push(`there are ${left}`);
  return wrong;
}
