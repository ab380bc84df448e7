import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What fails here, such as without an adapter, does so in the tests. */
export default function setup(): void {
  const script = fileURLToPath(new URL('check-adapter.mjs', import.meta.url));
  spawnSync(process.execPath, [script], { stdio: 'ignore', env: { GALLIVM_PERF: 'nopt', ...process.env } });
}
