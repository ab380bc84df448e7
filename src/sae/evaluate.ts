import { Pacer } from '../gpu/pacer.js';
import { parseTrainConfig, type TrainOptions } from './config.js';
import type { Dataset } from './dataset.js';
import { type Metrics, summarize } from './metrics.js';
import type { Model } from './model.js';
import { inOrder } from './row-orders.js';
import { stepRecords } from './schedule.js';
import type { StepLog } from './step-log.js';
import { TrainStep } from './train-step.js';

/**
 * The figures that training gives, for rows that a model was not trained on: batch by batch as in training.
 * @throws ConfigError, DataError, LimitError, OutOfMemoryError.
 */
export async function evaluate(model: Model, dataset: Dataset, options: TrainOptions = {}): Promise<Metrics> {
  const config = parseTrainConfig(options);
  const step = await TrainStep.create(model, dataset, config.batch_size, false);
  try {
    const { rows } = dataset;
    step.begin(inOrder(rows));
    step.schedule(stepRecords(rows, 0, { ...config, batch_size: step.batchRows }));
    const submit = (most: number) => (step.done < step.batches ? step.submit(most) : undefined);
    let whole: StepLog | undefined;
    for await (const log of new Pacer().run(submit)) {
      whole = log;
    }
    return summarize(whole!, [{ from: 0, ...config }], rows, model.hidden);
  } finally {
    step.destroy();
  }
}
