import { readMnist10k } from '../../src/node/data/mnist.js';
import { type ModelConfig, parseModelConfig, parseTrainConfig } from '../../src/sae/config.js';
import { initialValues } from '../../src/sae/model/initial.js';
import { layersOf, parametersOf } from '../../src/sae/model/layers.js';
import type { Parameters } from '../../src/sae/model/parameter.js';
import type { Dataset } from '../../src/sae/rows/dataset.js';
import { ReferenceTrainer } from '../reference/trainer.js';
import { rowOrders, toReference } from './models.js';

/** Loss and MSE of one epoch. */
export interface Figures {
  readonly epoch: number;
  readonly loss: number;
  readonly mse: number;
}

/** The default model's and training's configuration. */
export const config = { ...parseModelConfig({}), ...parseTrainConfig({}) };

/** Of the runs whose figures are kept in `test/fixtures/default-job`. */
export const seeds = [1, 2, 3] as const;

/** The default job in double precision, with the weights that a model begins with and a trainer's orders of rows. */
export function* referenceEpochs(dataset: Dataset, seed: number): Generator<Figures> {
  const trainer = new ReferenceTrainer(config, toReference(initialParameters(config, seed)));
  let epoch = 0;
  for (const order of rowOrders(dataset.rows, seed)) {
    const { loss, mse } = trainer.epoch(dataset, order, config.batch_size);
    epoch++;
    yield { epoch, loss, mse };
  }
}

/** What `Model.create` puts on the device. */
export function initialParameters(model: ModelConfig, seed: number): Parameters {
  const values = initialValues(model, parseTrainConfig({ seed }));
  return new Map(
    layersOf(model)
      .flatMap(parametersOf)
      .map((parameter) => [parameter.name, { shape: parameter.shape, data: values(parameter) }]),
  );
}

/** The 10,000 real digits. */
export const digits = readMnist10k;
