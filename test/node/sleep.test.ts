import { afterEach, expect, test, vi } from 'vitest';
import { Tensor } from '../../src/gpu/tensor.js';
import { openGpu } from '../../src/node/adapters.js';
import { sleepWhilePending } from '../../src/node/sleep.js';

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
  const sleeps = vi.spyOn(Atomics, 'wait');
  // Waits that begin and end within a turn must not add up.
  for (let i = 0; i < 300; i++) {
    await sleepWhilePending(Promise.resolve(i));
  }
  await turns(3);
  sleeps.mockClear();

  let finish = (_: string) => {};
  const slow = sleepWhilePending(
    new Promise<string>((resolve) => {
      finish = resolve;
    }),
  );
  const also = sleepWhilePending(turns(20));
  await also;
  expect(sleeps.mock.calls.length).toBeGreaterThanOrEqual(18);
  expect(sleeps.mock.calls.length).toBeLessThanOrEqual(22);

  finish('done');
  expect(await slow).toBe('done');
  await turns(2);
  sleeps.mockClear();
  await turns(20);
  expect(sleeps).not.toHaveBeenCalled();
});

test('what was waited for passes through, a failure too', async () => {
  expect(await sleepWhilePending(Promise.resolve(7))).toBe(7);
  await expect(sleepWhilePending(Promise.reject(new Error('lost')))).rejects.toThrow('lost');
});

test.each([
  [undefined, true],
  [false, false],
])('a GPU that is opened with sleep %s sleeps: %s', async (sleep, expected) => {
  const sleeps = vi.spyOn(Atomics, 'wait');
  const gpu = await openGpu({ sleep });
  const tensor = new Tensor(gpu, 'values', [1024, 4096]);
  for (let i = 0; i < 10; i++) {
    await tensor.read();
  }
  gpu.close();
  expect(sleeps.mock.calls.length > 0).toBe(expected);
});
