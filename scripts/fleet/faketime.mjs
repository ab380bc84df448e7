// libfaketime, for workers whose clocks are wrong: see scripts/torture/fleet-crew.mjs.
import { need } from './machine.mjs';

export const name = 'faketime';

export async function start() {
  need(['faketime'], ['faketime']);
  return { env: {}, stop: async () => {} };
}
