import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { ConfigError } from '../../../src/sae/errors.js';
import { contestOf, groupsOf } from '../../../src/sae/sweep/groups.js';
import { parseSweep } from '../../../src/sae/sweep/settings.js';
import {
  canonical,
  differing,
  namedOptions,
  type Trial,
  trialCount,
  trialId,
  trialInWords,
  trialsOf,
} from '../../../src/sae/sweep/trials.js';

const rows = { in_dims: 100, batchesOf: (batch: number) => Math.ceil(1000 / batch) };
const trials = (given: Record<string, unknown>) => trialsOf(parseSweep(given), rows);
const training = (all: readonly Trial[]) =>
  all.map((trial) => trial.training as unknown as Record<string, unknown>);

/** The sentences with which a sweep is refused. */
function refusal(given: Record<string, unknown>): string {
  try {
    trials(given);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('it was not refused');
}

test('a sweep has every combination of its lists, with every seed', () => {
  const given = { sparsity: 'topk', k: [4, 8, 16], h_dims: [[64], [128]], lr: [1e-3, 1e-4], seeds: 3 };
  expect(trialCount(parseSweep(given))).toBe(36);
  const all = trials(given);
  expect(all).toHaveLength(36);
  const keys = all.map(({ model, training: { lr, seed, ...others } }) =>
    [model.h_dims, 'k' in others && others.k, lr, seed].join(' '),
  );
  expect(new Set(keys).size).toBe(36);
  expect([...new Set(training(all).map(({ seed }) => seed))]).toEqual([42, 43, 44]);
  expect(all.every(({ model }) => model.in_dims === 100)).toBe(true);
});

test('a range has its ends, and equal steps or ratios', () => {
  const lr = (range: object) => training(trials({ lr: range })).map((one) => one.lr as number);
  expect(lr({ from: 0.001, to: 0.005, count: 5 })).toEqual([0.001, 0.002, 0.003, 0.004, 0.005]);
  expect(lr({ from: 1e-4, to: 1e-2, count: 3, scale: 'log' })).toEqual([1e-4, 1e-3, 1e-2]);
  const widths = training(
    trials({ sparsity: 'topk', h_dims: [1024], k: { from: 4, to: 64, count: 5, scale: 'log' } }),
  );
  expect(widths.map(({ k }) => k)).toEqual([4, 8, 16, 32, 64]);
});

test('options of some kinds count for these, and what is the same then is one trial', () => {
  const all = trials({ sparsity: ['topk', 'l1'], k: [4, 8], sparsity_lambda: [0.1, 0.2, 0.3], h_dims: [64] });
  const kinds = training(all).map(({ sparsity, k, sparsity_lambda }) => [sparsity, k ?? sparsity_lambda]);
  expect(kinds).toEqual([
    ['topk', 4],
    ['topk', 8],
    ['l1', 0.1],
    ['l1', 0.2],
    ['l1', 0.3],
  ]);
});

test('grids have options of their own beside the shared ones', () => {
  const all = trials({
    h_dims: [[64], [128]],
    grids: [
      { sparsity: 'topk', k: [4, 8] },
      { sparsity: 'l1', sparsity_lambda: 0.1 },
    ],
  });
  expect(all).toHaveLength(6);
  expect(trialCount(parseSweep({ h_dims: [[64], [128]], grids: [{}, { lr: [1e-3, 2e-3] }] }))).toBe(6);
});

test('drawn trials differ, lie within their ranges, and are the same again', () => {
  const given = {
    sparsity: 'topk',
    h_dims: [256],
    k: { from: 4, to: 64 },
    lr: { from: 1e-5, to: 1e-2, scale: 'log' },
    random: 200,
  };
  const all = training(trials(given));
  expect(all).toHaveLength(200);
  expect(new Set(all.map(({ k, lr }) => `${k} ${lr}`)).size).toBe(200);
  const rates = all.map(({ lr }) => lr as number);
  expect(Math.min(...rates)).toBeGreaterThanOrEqual(1e-5);
  expect(Math.max(...rates)).toBeLessThanOrEqual(1e-2);
  // Equal ratios are as likely as each other: a third of them in each decade.
  for (const [from, to] of [
    [1e-5, 1e-4],
    [1e-4, 1e-3],
    [1e-3, 1e-2],
  ]) {
    const share = rates.filter((lr) => lr >= from && lr < to).length / 200;
    // Five standard deviations of a share of a third.
    expect(Math.abs(share - 1 / 3)).toBeLessThan(5 * Math.sqrt(((1 / 3) * (2 / 3)) / 200));
  }
  expect(all.every(({ k }) => Number.isInteger(k) && (k as number) >= 4 && (k as number) <= 64)).toBe(true);
  expect(trials(given)).toEqual(trials(given));
  expect(refusal({ lr: [1e-3, 2e-3], random: 3 })).toBe(
    'random is 3, and there are 2 combinations that differ. Set it to that, or leave it out for all.',
  );
});

test.each([
  [{ kk: 3 }, 'There is no option "kk". Leave it out, or look at its spelling.'],
  [{ in_dims: [3] }, 'There is no option "in_dims"'],
  [{ grids: [{ lr: 1e-3 }, { kk: 3 }] }, 'There is no option grids[1]."kk"'],
  [{ grids: [] }, 'grids must be a list of at least one set of options'],
  [{ grids: [3] }, 'grids[0] must be options by their names, and is 3.'],
  [{ lr: [] }, 'lr is an empty list, of which nothing can be tried.'],
  [{ lr: [1e-3, -1] }, 'lr[1]: lr must be a number above 0, and is -1.'],
  [{ grids: [{}, { lr: [1, 0] }] }, 'grids[1].lr[1]: lr must be a number above 0, and is 0.'],
  [{ lr: { from: 1, to: 0.1, count: 3 } }, 'lr must be a range from a number to a larger one'],
  [
    { lr: { from: 0, to: 0.1, count: 3, scale: 'log' } },
    'lr.from must be above 0 on a scale of log, and is 0.',
  ],
  [{ lr: { from: 0.1, to: 1, count: 3, scale: 'cubic' } }, 'lr.scale must be linear or log, and is "cubic".'],
  [{ lr: { from: 0.1, to: 1, steps: 3 } }, 'There is no lr.steps; expected a range such as'],
  [{ lr: { from: 0.1, to: 1, count: 1 } }, 'lr.count must be a whole number of at least 2, and is 1.'],
  [{ lr: { from: 0.1, to: 1 } }, 'lr is a range without a count, of which values can be drawn only.'],
  [
    { sparsity: { from: 1, to: 2, count: 2 } },
    'sparsity is a range, and sparsity is no number. Give it a list.',
  ],
  [{ seeds: 0 }, 'seeds must be a whole number of at least 1, and is 0.'],
  [{ random: 1.5 }, 'random must be a whole number of at least 1, and is 1.5.'],
  [{ halving: 1 }, 'halving must be a whole number of at least 2, and is 1.'],
  [
    { sparsity: 'topk', h_dims: [8], k: [4, 16] },
    'k[1]: k must be at most 8, the number of latents, and is 16.',
  ],
  [
    { sparsity: 'l1', k: [4, 16] },
    'k is an option of sparsity topk, batchtopk, matryoshka, and sparsity is l1.',
  ],
  [{ steps: 3, epochs: 2 }, 'Both epochs and steps say how long to train.'],
  [{ lr_warmup: [10, 1000], steps: 100 }, 'lr_warmup[1]: lr_warmup is 1000 steps, and the run has 100.'],
])('%j is refused', (given, sentence) => {
  expect(refusal(given)).toContain(sentence);
});

test('all faults are told at once', () => {
  const said = refusal({ kk: 1, seeds: 0, lr: [], grids: [{ x: 1 }] });
  for (const part of ['seeds must', '"kk"', 'lr is an empty list', 'grids[0]."x"'])
    expect(said).toContain(part);
});

test('trials say in what they differ', () => {
  const all = trials({ sparsity: ['topk', 'l1'], k: [4, 8], h_dims: [[64], [128]] });
  const told = all.map((trial) => trialInWords(namedOptions(trial, differing(all))));
  expect([...told].sort()).toEqual([
    'l1, h_dims [128]',
    'l1, h_dims [64]',
    'topk, h_dims [128], k 4',
    'topk, h_dims [128], k 8',
    'topk, h_dims [64], k 4',
    'topk, h_dims [64], k 8',
  ]);
  expect(new Set(told).size).toBe(all.length);
  expect(differing(trials({}))).toEqual([]);
});

test('a trial is named by the SHA-256 of all that determines it, in whatever order it is written', async () => {
  const one = { b: { y: [1, 2], x: 'text' }, a: 1.5 };
  const other = { a: 1.5, b: { x: 'text', y: [1, 2] } };
  const text = '{"a":1.5,"b":{"x":"text","y":[1,2]}}';
  expect(canonical(one)).toBe(text);
  expect(await trialId(one)).toBe(`t${createHash('sha256').update(text).digest('hex').slice(0, 15)}`);
  expect(await trialId(other)).toBe(await trialId(one));
  expect(await trialId({ ...one, a: 1.6 })).not.toBe(await trialId(one));
});

test('groups take the same batches, have no more trials than are to be together, and one for each process', () => {
  const all = trials({
    sparsity: 'topk',
    k: [2, 3, 4, 5, 6, 7],
    batch_size: [64, 128],
    seeds: 2,
    h_dims: [64],
  });
  const groups = groupsOf(all);
  expect(groups.map(({ length }) => length)).toEqual([6, 6, 6, 6]);
  for (const group of groups) {
    expect(new Set(group.map(({ training: { batch_size, seed } }) => `${batch_size} ${seed}`)).size).toBe(1);
  }
  expect(groups.flat().length).toBe(all.length);
  expect(new Set(groups.flat())).toEqual(new Set(all));
  expect(groupsOf(all, 1, 3).map(({ length }) => length)).toEqual(new Array(8).fill(3));
  const few = trials({ sparsity: 'topk', k: [2, 3, 4, 5], h_dims: [64] });
  expect(groupsOf(few, 2).map(({ length }) => length)).toEqual([2, 2]);
  expect(groupsOf(few, 9).map(({ length }) => length)).toEqual([1, 1, 1, 1]);
  const many = trials({ sparsity: 'topk', k: { from: 1, to: 24, count: 24 }, h_dims: [64] });
  expect(groupsOf(many, 2).map(({ length }) => length)).toEqual([6, 6, 6, 6]);
});

test('rivals are trials that differ in how they are optimised alone, and stay together', () => {
  const all = trials({ sparsity: 'topk', k: [2, 3, 4], lr: [1e-3, 2e-3, 3e-3], clip_norm: 1, h_dims: [64] });
  expect(new Set(all.map(contestOf)).size).toBe(3);
  for (const group of groupsOf(all, 1, 3)) expect(new Set(group.map(contestOf)).size).toBe(1);
});
