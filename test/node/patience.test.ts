import { afterEach, expect, test, vi } from 'vitest';
import { patiently } from '../../src/node/patience.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await turn();
  }
}

test('the thread sleeps once a turn of the event loop while anything is pending, and then no more', async () => {
  const naps = vi.spyOn(Atomics, 'wait');
  // Waits that begin and end within a turn must not add up.
  for (let i = 0; i < 300; i++) {
    await patiently(Promise.resolve(i));
  }
  await turns(3);
  naps.mockClear();

  let finish = (_: string) => {};
  const slow = patiently(
    new Promise<string>((resolve) => {
      finish = resolve;
    }),
  );
  const also = patiently(turns(20));
  await also;
  expect(naps.mock.calls.length).toBeGreaterThanOrEqual(18);
  expect(naps.mock.calls.length).toBeLessThanOrEqual(22);

  finish('done');
  expect(await slow).toBe('done');
  await turns(2);
  naps.mockClear();
  await turns(20);
  expect(naps).not.toHaveBeenCalled();
});

test('what was waited for passes through, a failure too', async () => {
  expect(await patiently(Promise.resolve(7))).toBe(7);
  await expect(patiently(Promise.reject(new Error('lost')))).rejects.toThrow('lost');
});
