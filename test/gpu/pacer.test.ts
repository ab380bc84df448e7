import { afterEach, expect, test, vi } from 'vitest';
import { Pacer, type Submitted } from '../../src/gpu/pacer.js';

afterEach(() => vi.restoreAllMocks());

/** A host and a device with a clock of their own: the host sees that a submit has ended when it is not busy. */
function machine(submits: number) {
  let now = 0;
  let deviceFree = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const sizes: number[] = [];
  const inFlight: { end: number; see: () => void }[] = [];
  const submit = (milliseconds: number) => (most: number) => {
    if (sizes.length === submits) {
      return undefined;
    }
    sizes.push(most);
    deviceFree = Math.max(now, deviceFree) + milliseconds * most;
    const end = deviceFree;
    return { times: most, ended: new Promise<void>((see) => inFlight.push({ end, see })) };
  };
  const hostLoop = setInterval(() => {
    const next = inFlight.shift();
    now = Math.max(now, next?.end ?? 0);
    next?.see();
  });
  return {
    sizes,
    submit,
    busy: (milliseconds: number) => {
      now += milliseconds;
    },
    stop: () => clearInterval(hostLoop),
  };
}

test.each([
  [16, 2, 8],
  [50, 2, 25],
  [16, 40, 1],
])('submits of %d ms where one time takes %d', async (target, milliseconds, fitting) => {
  const { sizes, submit, stop } = machine(30);
  for await (const _ of new Pacer().run(submit(milliseconds), target));
  stop();
  expect(sizes[0]).toBe(1);
  expect(sizes.slice(10).every((size) => size === fitting)).toBe(true);
  // It feels its way up.
  expect(sizes.every((size, i) => i < 2 || size <= 2 * sizes[i - 2])).toBe(true);
});

test('a host that is busy now and then does not change that, nor does a first time that is slow', async () => {
  const { sizes, submit, busy, stop } = machine(100);
  let ended = 0;
  busy(500);
  for await (const _ of new Pacer().run(submit(2), 16)) {
    busy(ended++ % 2 === 0 ? 12 : 0);
  }
  stop();
  expect(sizes.slice(20).every((size) => size >= 6 && size <= 10)).toBe(true);
});

test('what each submit gave comes in order; whoever stops listening waits for those in flight', async () => {
  const { submit, stop } = machine(100);
  let begun = 0;
  let ended = 0;
  const counted = (most: number) => {
    const id = ++begun;
    const submitted = submit(1)(most)!;
    return { ...submitted, ended: submitted.ended.then(() => ++ended && id) };
  };
  const seen: number[] = [];
  for await (const id of new Pacer().run(counted, 4)) {
    seen.push(id);
    if (id === 5) {
      break;
    }
  }
  stop();
  expect(seen).toEqual([1, 2, 3, 4, 5]);
  expect([begun, ended]).toEqual([7, 7]);
});

test('what was waited for, and came while the caller used a result, is gone on with', async () => {
  let submitted = 0;
  let come = () => {};
  const submit = (): Submitted<number> | Promise<void> | undefined => {
    if (submitted === 1) {
      submitted = 2;
      return new Promise<void>((resolve) => {
        come = resolve;
      });
    }
    if (submitted === 4) return undefined;
    return { times: 1, ended: Promise.resolve(++submitted) };
  };
  const seen: number[] = [];
  for await (const id of new Pacer().run(submit)) {
    seen.push(id);
    come();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(seen).toEqual([1, 3, 4]);
});
