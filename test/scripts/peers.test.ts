import { describe, expect, it } from 'vitest';
import { markdownTable, ratios, short, spread } from '../../scripts/peers/report.mjs';

describe('the table of peers', () => {
  it('takes medians of odd and even numbers of repeats, in whatever order they came', () => {
    expect(spread([9, 1, 5])).toEqual({ median: 5, min: 1, max: 9 });
    expect(spread([10, 2, 8, 4])).toEqual({ median: 6, min: 2, max: 10 });
  });

  it('compares round by round, so that a slow machine does not change a ratio', () => {
    expect(ratios([20, 60, 10], [10, 30, 5])).toEqual({ median: 2, min: 2, max: 2 });
    expect(ratios([10, 40], [20, 20])).toEqual({ median: 1.25, min: 0.5, max: 2 });
  });

  it('writes three digits', () => {
    expect([0.0476, 0.394, 2.9, 38.46, 408.2, 1229.4].map(short)).toEqual([
      '0.0476',
      '0.394',
      '2.90',
      '38.5',
      '408',
      '1229',
    ]);
  });

  it('gives slower cases, scaled epochs, losses and rates their cells', () => {
    const ours = { name: 'ours', ours: true, steps: 938, milliseconds: [2, 2], loss: 1.25 };
    const slower = { name: 'A', steps: 100, milliseconds: [20, 24], loss: null };
    const faster = { name: 'B', steps: 938, milliseconds: [1, 1] };
    const table = markdownTable([
      { title: '784-20', stepsAnEpoch: 938, results: [ours, slower, faster] },
      { title: 'GEMM', flops: 4e9, results: [{ name: 'B', milliseconds: [8] }] },
    ]).split('\n');
    expect(table.slice(2)).toEqual([
      '| 784-20 | ours | 2.00 (2.00–2.00) | 1.88 |  | 1.250 |',
      '|  | A | 22.0 (20.0–24.0) | ≈ 20.6 | 11.0 (10.0–12.0) | not a number |',
      '|  | B | 1.00 (1.00–1.00) | 0.938 | 0.500 (0.500–0.500) |  |',
      '| GEMM | B | 8.00 (8.00–8.00), 500 GFLOP/s |  | – |  |',
    ]);
  });
});
