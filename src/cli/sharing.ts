import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EngineError, type Spread, spread } from '../node/index.js';

const main = fileURLToPath(new URL('./main.js', import.meta.url));
const rates = ['1e-3', '1.5e-3', '2e-3', '2.5e-3', '3e-3', '3.5e-3', '4e-3', '4.5e-3'];
const common = '--dataset words-10k --sparsity topk --k 16 --h_dims [1024] --epochs 5 --batch_size 64 --json';

/** What is trained by several commands and by one, in words and in how many models. */
export const shared = { model: '100-1024', batch_size: 64, k: 16, epochs: 5, models: rates.length };

/** Seconds until the last model is there, over rounds. */
export interface Sharing {
  readonly one_by_one: Spread;
  readonly sweep: Spread;
}

/** Trains the same models by a command each, one after another, and by a sweep, in turn. @throws EngineError if one of them fails. */
export async function measureSharing(
  { adapter, tune }: { readonly adapter?: string; readonly tune: string },
  rounds = 3,
): Promise<Sharing> {
  const [one_by_one, sweep]: number[][] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const cwd = await mkdtemp(join(tmpdir(), 'sae-bench-'));
    try {
      let seconds = 0;
      for (const lr of rates) {
        const own = [
          '--lr',
          lr,
          '--save-model',
          '--no-save-plots',
          ...(adapter ? ['--adapter', adapter] : []),
        ];
        seconds += await secondsOf(['train', ...own, '--tune', tune], cwd);
      }
      one_by_one.push(seconds);
      const own = ['--lr', rates.join(), ...(adapter ? ['--adapters', adapter] : [])];
      sweep.push(await secondsOf(['sweep', ...own, '--tune', tune], cwd, rates.length));
    } finally {
      await rm(cwd, { recursive: true, force: true });
    }
  }
  return { one_by_one: spread(one_by_one), sweep: spread(sweep) };
}

/** @param trials of a sweep, after which nobody waits for its report. @returns seconds to its end. */
function secondsOf(words: readonly string[], cwd: string, trials = 0): Promise<number> {
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  const [command, ...others] = words;
  const args = [main, command, ...common.split(' '), ...others];
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  return new Promise((resolve, reject) => {
    let left = trials;
    let seconds: number | undefined;
    createInterface(child.stdout).on('line', (line) => {
      if (!('trial' in JSON.parse(line))) return;
      left -= 1;
      if (left > 0) return;
      seconds = since();
      child.kill('SIGTERM');
    });
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0 || seconds !== undefined) resolve(seconds ?? since());
      else reject(new EngineError(`sae ${words.join(' ')} ended with status ${status}: ${said.trim()}`));
    });
  });
}
