import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Gpu } from '../../gpu/gpu.js';
import type { ModelConfig, TrainConfig } from '../../sae/config.js';
import { modelFacts } from '../../sae/insight/report/facts.js';
import type { ReportedModel } from '../../sae/insight/report/layout.js';
import type { SparsityName } from '../../sae/sparsity/index.js';
import type { EpochMetrics } from '../../sae/training/metrics.js';
import { type RunRecord, sha256 } from '../run-file.js';

/** A training that is on record: in run.json, and its epochs in metrics.jsonl. */
export interface RecordedTraining {
  readonly record: RunRecord;
  readonly epochs: readonly EpochMetrics<SparsityName>[];
}

// What a report takes from a record. Other programs and hands may have written the files.
const shape = z.object({
  version: z.string(),
  command: z.array(z.string()).optional(),
  date: z.string().optional(),
  model: z.object({ h_dims: z.array(z.number()) }),
  data: z.object({ name: z.string(), rows: z.number() }),
  adapter: z.object({ name: z.string().optional(), device: z.string(), driver: z.string() }),
});
const epochShape = z.looseObject({
  epoch: z.number(),
  loss: z.number(),
  mse: z.number(),
  seconds: z.number().optional(),
});

/**
 * The record of the training of a saved model, which lies beside it. Undefined if there is none, or it is of another run than the one
 * that saved this very file.
 */
export async function readRecord(file: string): Promise<RecordedTraining | undefined> {
  const beside = (name: string) => readFile(join(dirname(file), name), 'utf8');
  try {
    const record: RunRecord = JSON.parse(await beside('run.json'));
    if (record.saved === undefined || record.saved !== (await sha256(file))) return undefined;
    shape.parse(record);
    const epochs: EpochMetrics<SparsityName>[] = (await beside('metrics.jsonl'))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
    z.array(epochShape).parse(epochs);
    return { record, epochs };
  } catch {
    // A model has no need of a record, and what is damaged there does no harm to it.
    return undefined;
  }
}

/** What is known of a model and its training, as names and values. */
export function factsOf(
  gpu: Gpu,
  config: ModelConfig,
  parameters: number,
  training: Partial<TrainConfig<SparsityName>> | undefined,
  recorded: RecordedTraining | undefined,
): ReportedModel['facts'] {
  const facts = modelFacts(config, parameters, training);
  if (recorded) {
    const { record, epochs } = recorded;
    const { data, adapter, date, version } = record;
    facts.push(['trained on', `${data.name}, ${data.rows.toLocaleString('en')} rows`]);
    if (date) facts.push(['trained', date]);
    const seconds = epochs.at(-1)?.seconds;
    if (seconds !== undefined) {
      facts.push([
        'took',
        `${seconds.toFixed(1)} s for ${epochs.length} epoch${epochs.length === 1 ? '' : 's'}`,
      ]);
    }
    facts.push(['adapter', adapter.name ?? `${adapter.device} ${adapter.driver}`.trim()]);
    facts.push(['program', `webgpu-sae ${version}`]);
  }
  facts.push(['report made on', gpu.name]);
  return facts;
}

/** Words of a command as a shell takes them. What follows a question mark in an address is left out, since it may be a key. */
export function commandLine(words: readonly string[]): string {
  return words
    .map((word) => word.replace(/(https?:\/\/[^?]*\?).*/, '$1...'))
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}
