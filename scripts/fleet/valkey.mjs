// Valkey, for the queue of a fleet: see test/fleet/queue.test.ts, which starts its servers as it does those of Redis.
import { find, need } from './machine.mjs';

export const name = 'valkey';

export async function start() {
  // Debian 12 has it in its backports only.
  need(['valkey-server'], ['valkey-server'], { backports: true });
  return { env: { SAE_VALKEY_SERVER: find('valkey-server') }, stop: async () => {} };
}
