// Opens a device as often as the first argument says in one process and trains a little with each. Prints what the process holds after each, as JSON.
import { readdirSync } from 'node:fs';
import { Model, openGpu, Trainer } from '../../dist/node/index.js';

const rows = {
  name: 'rows',
  rows: 64,
  in_dims: 16,
  data: Uint8Array.from({ length: 64 * 16 }, (_, i) => (i * 37) % 251),
  normalization: { mean: 0, std: 1 },
};
const held = [];
for (let opening = 0; opening < Number(process.argv[2]); opening++) {
  const gpu = await openGpu();
  const model = await Model.create(gpu, { in_dims: 16, h_dims: [32] }, 1);
  const trainer = await Trainer.create(model, rows, { epochs: 2, batch_size: 16 });
  for await (const _ of trainer.epochs());
  await trainer.snapshot();
  trainer.close();
  model.close();
  gpu.close();
  await gpu.lost;
  globalThis.gc?.();
  held.push({ rss: process.memoryUsage().rss, handles: readdirSync('/proc/self/fd').length });
}
console.log(JSON.stringify(held));
