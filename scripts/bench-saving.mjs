// npm run bench:saving: what a snapshot costs a training of 768-16384 that goes on meanwhile, topk 32, batches of 1,024 rows. Blocks of
// steps with a snapshot in them and without one take turns in one process.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fingerprint, Model, openGpu, Trainer, writeSnapshotFile } from '../dist/node/index.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    steps: { type: 'string', default: '16' },
    folder: { type: 'string' },
  },
});
const steps = Number(values.steps);
const [in_dims, latents, batch_size] = [768, 16_384, 1024];
let state = 1;
const data = Float32Array.from({ length: 8192 * in_dims }, () => {
  state = (state * 48_271) % 0x7fffffff;
  return state / 0x40000000 - 1;
});
const rows = { name: 'rows', rows: 8192, in_dims, data, normalization: { mean: 0, std: 1 } };
const folder = mkdtempSync(join(values.folder ?? tmpdir(), 'sae-saving-'));
const file = join(folder, 'snapshot.safetensors');
const gpu = await openGpu();
const model = await Model.create(gpu, { in_dims, h_dims: [latents] }, { sparsity: 'topk', k: 32 });
const trainer = await Trainer.create(model, rows, { sparsity: 'topk', k: 32, batch_size, steps: 1_000_000 });
const print = await fingerprint(rows);

async function save() {
  const begun = performance.now();
  const snapshot = await trainer.snapshot();
  const { normalization } = rows;
  await writeSnapshotFile(file, {
    snapshot,
    normalization,
    fingerprint: print,
    texts: new Map(),
    arrays: new Map(),
  });
  return performance.now() - begun;
}

/** Milliseconds for a block of steps, and for the snapshot that is taken after the second one, if there is one. */
async function block(saves) {
  const begun = performance.now();
  let saving;
  for await (const _ of trainer.steps({ count: steps })) saving ??= saves ? save() : Promise.resolve(0);
  const trained = performance.now() - begun;
  // What is still written after the block goes on beside steps in a training: it counts as if nothing did.
  const took = await saving;
  return { took, whole: Math.max(trained, saves ? performance.now() - begun : 0) };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
await block(false);
const costs = [];
const taken = [];
const plain = [];
for (let round = 0; round < Number(values.rounds); round++) {
  // The order alternates, so that a machine that becomes slower favours neither.
  const order = round % 2 === 0 ? [false, true] : [true, false];
  const of = {};
  for (const saves of order) of[saves] = await block(saves);
  costs.push(of.true.whole - of.false.whole);
  plain.push(of.false.whole / steps);
  taken.push(of.true.took);
}
const range = (numbers, digits = 0) =>
  `${median(numbers).toFixed(digits)} (${Math.min(...numbers).toFixed(digits)} to ${Math.max(...numbers).toFixed(digits)})`;
console.log(`device           ${gpu.name}`);
console.log(`snapshot         ${(statSync(file).size / 1e6).toFixed(0)} MB`);
console.log(`a step           ${range(plain)} ms`);
console.log(`a snapshot takes ${range(taken)} ms, beside steps`);
console.log(`and costs them   ${range(costs)} ms`);
console.log(
  `once a minute    ${range(
    costs.map((ms) => ms / 600),
    2,
  )} %`,
);
trainer.close();
model.close();
gpu.close();
rmSync(folder, { recursive: true });
