import { randomUUID } from 'node:crypto';
import { ConfigError } from '../../sae/errors.js';
import type { Store } from './store.js';

/** So many writers at once must have one winner. */
const racers = 8;

/**
 * Checks whether a store keeps its conditions, without which two workers would have one trial at once. Some servers that speak
 * S3 leave them out without a word.
 * @throws ConfigError that says what it does wrong; whatever the store throws if it cannot be reached or written.
 */
export async function probeStore(store: Store): Promise<void> {
  const key = `probe-${randomUUID()}`;
  const other = `probe-${randomUUID()}`;
  try {
    const first = await store.create(key, unique());
    demand(store, first !== undefined, 'did not make a record that was not there');
    const again = await store.create(key, unique());
    demand(store, again === undefined, 'made a record a second time');

    const second = unique();
    const version = await store.replace(key, second, first!);
    demand(store, version !== undefined, 'did not replace a record of the right version');
    const late = await store.replace(key, unique(), first!);
    demand(store, late === undefined, 'replaced a record of another version');
    const absent = await store.replace(other, unique(), version!);
    demand(store, absent === undefined, 'replaced a record that was not there');

    const there = await store.read(key);
    const same = there && there.version === version && Buffer.compare(there.bytes, second) === 0;
    demand(store, same === true, 'gave back something else than was written last');
    const listed: string[] = [];
    for await (const found of store.list(key)) listed.push(found);
    demand(store, listed.length === 1 && listed[0] === key, 'does not list what was written');

    const made = await race(() => store.create(other, unique()));
    demand(store, made === 1, `let ${made} of ${racers} make one record at once`);
    const replaced = await race(() => store.replace(key, unique(), version!));
    demand(store, replaced === 1, `let ${replaced} of ${racers} replace one version of a record at once`);
  } finally {
    // Where it fails, the failure before says more.
    await Promise.allSettled([store.remove(key), store.remove(other)]);
  }
}

async function race(write: () => Promise<string | undefined>): Promise<number> {
  const versions = await Promise.all(Array.from({ length: racers }, write));
  return versions.filter((version) => version !== undefined).length;
}

function unique(): Uint8Array {
  return new TextEncoder().encode(randomUUID());
}

function demand(store: Store, kept: boolean, what: string): void {
  if (kept) return;
  throw new ConfigError(
    `The store ${store.name} cannot be used: its server ${what}. Conditional writes (If-None-Match and If-Match) are needed; use a server that has them, or a shared folder.`,
  );
}
