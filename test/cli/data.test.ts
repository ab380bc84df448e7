import { afterEach, expect, it, vi } from 'vitest';
import { readingBar } from '../../src/cli/data.js';

afterEach(() => vi.useRealTimers());

it('a bar shows how far reading is, two seconds after each pass began', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const said: unknown[][] = [];
  const bar = readingBar({
    startBar: (...words) => said.push(['start', ...words]),
    updateBar: (...words) => said.push(words),
  });
  const read = (seconds: number, done: number, all: number | undefined) => {
    vi.advanceTimersByTime(1000 * seconds);
    bar(done, all);
  };
  read(0, 10, 5000);
  read(1.9, 1000, 5000);
  expect(said).toEqual([]);
  read(0.6, 2500, 5000);
  read(2.5, 5000, 5000);
  // Another pass, whose end is not known.
  read(1, 3, undefined);
  read(1.5, 20, undefined);
  read(1.5, 6000, undefined);
  expect(said).toEqual([
    ['start', 5000, 'reading rows'],
    [2500, 'reading rows', '1,000 rows/s'],
    [5000, 'reading rows', '1,000 rows/s'],
    ['start', 0, 'reading rows'],
    [6000, '6,000 rows read', '2,000 rows/s'],
  ]);
});
