// npm run bench:sweep: what a sweep saves. Eight models of 100-1024 on the words, by eight commands one after another and by one sweep, in
// turn. A command saves its model and draws nothing; a sweep is timed to the end of its last model, and to the end of its report.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    epochs: { type: 'string', default: '5' },
    batch_size: { type: 'string', default: '64' },
  },
});
const rates = ['1e-3', '1.5e-3', '2e-3', '2.5e-3', '3e-3', '3.5e-3', '4e-3', '4.5e-3'];
const main = join(import.meta.dirname, '../dist/cli/main.js');
const common = ['--dataset', 'words-10k', '--sparsity', 'topk', '--k', '16', '--h_dims', '[1024]', '--json'];
common.push('--epochs', values.epochs, '--batch_size', values.batch_size);

/** @param {readonly string[]} words @returns {Promise<{ seconds: number, trained: number }>} to the end, and to the last trial's. */
function run(words, cwd) {
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  const child = spawn(process.execPath, [main, ...words], { cwd, stdio: ['ignore', 'pipe', 'ignore'] });
  let trained = 0;
  createInterface(child.stdout).on('line', (line) => {
    if ('trial' in JSON.parse(line)) trained = since();
  });
  return new Promise((resolve, reject) => {
    child.on('close', (status) => {
      if (status === 0) resolve({ seconds: since(), trained });
      else reject(new Error(`sae ${words.join(' ')} ended with status ${status}`));
    });
  });
}

const median = (times) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];
const spread = (times) =>
  `${median(times).toFixed(1)} s (${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)})`;

const [alone, trained, whole] = [[], [], []];
for (let round = 0; round < Number(values.rounds); round++) {
  const folder = mkdtempSync(join(tmpdir(), 'sae-bench-'));
  try {
    let seconds = 0;
    for (const lr of rates) {
      seconds += (await run(['train', ...common, '--lr', lr, '--save-model', '--no-save-plots'], folder))
        .seconds;
    }
    alone.push(seconds);
    const sweep = await run(['sweep', ...common, '--lr', rates.join(',')], folder);
    trained.push(sweep.trained);
    whole.push(sweep.seconds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
console.log(`one after another          ${spread(alone)}`);
console.log(
  `a sweep                    ${spread(trained)}: ${(median(alone) / median(trained)).toFixed(2)} times as fast`,
);
console.log(
  `a sweep with its report    ${spread(whole)}: ${(median(alone) / median(whole)).toFixed(2)} times as fast`,
);
