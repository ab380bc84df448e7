import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readHistory } from '../../../dist/node/report/history-file.js';
import { commandLine, factsOf, readRecord } from '../../../dist/node/report/run-record.js';
import { isOurRunFile, readTiles, sha256 } from '../../../dist/node/run-file.js';
import { parseModelConfig } from '../../../dist/sae/config.js';
import { safetensorsParts } from '../../../dist/sae/model/safetensors.js';
import { trainingCharts } from '../../../dist/sae/training/charts.js';
import { onDisk, pack } from '../files.mjs';
import { watchPaths } from '../paths.mjs';

const config = parseModelConfig({ in_dims: 3, h_dims: [2] });
const record = {
  version: '0.1.0',
  command: ['train', 'rows.npy', '--h_dims', '[2]'],
  date: '2026-01-01T00:00:00.000Z',
  model: config,
  training: { sparsity: 'l1', epochs: 2 },
  data: { name: 'rows', rows: 4, normalization: { mean: 0, std: 1 } },
  adapter: { name: 'a', vendor: 'v', architecture: 'a', device: 'd', driver: 'e' },
  tiles: { 'nt 64x20x784': { family: 'wide' } },
  saved: 'SHA',
};
const epoch = {
  epoch: 1,
  loss: 1,
  mse: 1,
  l1: 0.5,
  active: 1,
  dead: 0,
  dense: 0,
  explained_variance: 0.5,
  seconds: 1,
};
const densities = new Map([
  ['epochs', { shape: [1], data: new Float32Array([1]) }],
  ['densities', { shape: [1, 2], data: new Float32Array([0.5, 0.25]) }],
]);
const history = Buffer.concat([
  ...safetensorsParts({
    tensors: densities,
    metadata: new Map([
      ['program', 'webgpu-sae densities'],
      ['trained', record.date],
    ]),
  }),
]);

// What a run leaves beside its model. SHA stands for the hash of the model's file.
export default {
  seeds: () => [
    pack([
      ['model.safetensors', 'a model'],
      ['run.json', JSON.stringify(record)],
      ['metrics.jsonl', `${JSON.stringify(epoch)}\n${JSON.stringify({ ...epoch, epoch: 2 })}\n`],
      ['densities.safetensors', history],
    ]),
  ],
  async read(input) {
    const folder = onDisk(input);
    const [model, run] = ['model.safetensors', 'run.json'].map((name) => join(folder, name));
    if (existsSync(run) && existsSync(model)) {
      const text = readFileSync(run);
      isOurRunFile(text);
      writeFileSync(run, text.toString('latin1').replaceAll('SHA', await sha256(model)), 'latin1');
    }
    watchPaths(folder);
    const recorded = await readRecord(model);
    if (recorded) {
      await readHistory(model, recorded.record);
      factsOf({ name: 'gpu' }, config, 1, undefined, recorded);
      commandLine(recorded.record.command ?? []);
      trainingCharts(recorded.epochs, { sparsity: 'l1' });
    }
    await readTiles(run);
  },
};
