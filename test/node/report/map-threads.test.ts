import { expect, test } from 'vitest';
import { mapThreads } from '../../../dist/node/report/map-threads.js';
import { mapOf } from '../../../src/sae/insight/report/map.js';

/** Neighbours on a ring, whose cosines differ. */
const ring = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    Array.from({ length: 15 }, (_, k) => ({ latent: (i + k + 1) % count, cosine: 1 / (k + 1 + (i % 7)) })),
  );

test('threads place latents as this one does, each map with its own seed', async () => {
  const map = mapThreads(2);
  const seeds = [0, 1, 2];
  const [made, expected] = await Promise.all(
    [map, mapOf].map((place) => Promise.all(seeds.map((seed) => place(ring(40), { seed })))),
  );
  expect(made).toEqual(expected);
  expect(made[0]).not.toEqual(made[1]);
});

test('a thread stops with the reason of its signal, and one that waits does not begin', async () => {
  const map = mapThreads(1);
  const stop = new AbortController();
  const maps = [0, 1].map((seed) => map(ring(2000), { seed, signal: stop.signal }));
  const ended = Promise.allSettled(maps);
  setTimeout(() => stop.abort(new Error('stopped')), 300);
  expect((await ended).map((one) => one.status === 'rejected' && one.reason.message)).toEqual([
    'stopped',
    'stopped',
  ]);
});
