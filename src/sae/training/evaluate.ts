import { Pacer } from '../../gpu/pacer.js';
import { Scope } from '../../gpu/scope.js';
import { parseTrainConfig, type TrainConfig, type TrainOptions } from '../config.js';
import { NonFiniteError } from '../errors.js';
import type { Model } from '../model/model.js';
import { type DeviceRows, type Rows, rowSource } from '../rows/source.js';
import type { SparsityName } from '../sparsity/index.js';
import { nestedWidths } from '../sparsity/matryoshka.js';
import { stepRecords } from '../step/records.js';
import { TrainStep } from '../step/train-step.js';
import { beginNext, loadAhead } from './course.js';
import { addSteps, lossOf, type Metrics, noSums, summarize } from './metrics.js';
import { type Placement, windowRows } from './placement.js';
import { RowOrder } from './row-order.js';

/**
 * Measures a model on rows, such as held-out ones: the metrics of training, over batches as in training, with the whole
 * weight of the penalty. The model selects latents as it was trained to; the options say what the loss consists of.
 * @throws ConfigError, DataError, LimitError, OutOfMemoryError; NonFiniteError with the rows if the loss is not finite.
 */
export async function evaluate<S extends SparsityName = 'kl'>(
  model: Model,
  rows: Rows,
  options: TrainOptions<S> = {} as TrainOptions<S>,
  placement: Placement = {},
): Promise<Metrics<S>> {
  const config = parseTrainConfig(options, model.config);
  const source = rowSource(rows);
  const window_rows = windowRows(placement, config.batch_size);
  const metrics = await measure(model, source, config, window_rows);
  if (config.sparsity !== 'matryoshka') {
    return metrics;
  }
  // The reconstructions by the first latents alone, one width after another.
  const widths = nestedWidths(config as TrainConfig<'matryoshka'>, model.hidden).slice(0, -1);
  let inner = 0;
  for (const latents of widths) {
    const { loss } = await measure(model, source, config, window_rows, latents);
    inner += loss;
  }
  return { ...metrics, loss: metrics.loss + inner, inner };
}

/** The metrics, of the first latents alone or of all. */
function measure<S extends SparsityName>(
  model: Model,
  source: DeviceRows,
  config: TrainConfig<S>,
  window_rows: number | undefined,
  latents?: number,
): Promise<Metrics<S>> {
  return Scope.during(async (scope) => {
    const step = scope.use(
      await TrainStep.create(model, source, config, {
        update: false,
        window_rows,
        ...(latents !== undefined && { latents }),
      }),
    );
    const order = new RowOrder(step.windows.sizes, { seed: 0, shuffle: false });
    const submit = (most: number) => {
      if (step.leftInWindow === 0) {
        if (order.upcoming === step.windows.sizes.count) return undefined;
        const next = beginNext(step, order);
        if (next instanceof Promise) return next;
        const { rows } = step.window;
        step.schedule(stepRecords(() => config, { rows, batchRows: step.batchRows, updates: 0 }));
        if (order.upcoming < step.windows.sizes.count) loadAhead(step, order);
      }
      return step.submit(most);
    };
    let sums = noSums;
    let counts: Uint32Array = new Uint32Array();
    let done = 0;
    for await (const { steps, rowsActive } of new Pacer().run(submit)) {
      const wrong = steps.findIndex(({ fault }) => fault !== undefined);
      if (wrong >= 0) {
        const first = (done + wrong) * step.batchRows;
        throw new NonFiniteError(
          `The loss of ${source.name} is not finite in rows ${first} to ${first + steps[wrong].rows - 1} (from 0): values there, or ` +
            "the model's weights, are too large for f32. Use rows scaled as the model's own were.",
        );
      }
      done += steps.length;
      const losses = steps.map((figures) => lossOf(figures, config, model));
      sums = addSteps(sums, steps, losses);
      counts = rowsActive ?? counts;
    }
    return summarize(config.sparsity, sums, counts, step.variance);
  });
}
