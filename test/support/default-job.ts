import { readMnist10k } from '../../src/node/data/mnist.js';
import { type ModelConfig, parseModelConfig, parseTrainConfig } from '../../src/sae/config.js';
import type { Dataset } from '../../src/sae/dataset.js';
import { layersOf, parameterShapes } from '../../src/sae/layers.js';
import type { Parameters } from '../../src/sae/model.js';
import { fillUniform, randomPair } from '../../src/sae/random.js';
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

export const seeds = [1, 2, 3] as const;

/** The default job in double precision, on the digits in their package, from a model's own start and orders of rows. */
export function* referenceEpochs(
  dataset: Dataset,
  seed: number,
  start: Parameters = initialParameters(config, seed),
): Generator<Figures> {
  const trainer = new ReferenceTrainer(config, toReference(start));
  let epoch = 0;
  for (const order of rowOrders(dataset.rows, seed)) {
    const { loss, mse } = trainer.epoch(dataset, order, config.batch_size);
    epoch++;
    yield { epoch, loss, mse };
  }
}

/** What `Model.create` puts on the device. */
export function initialParameters(model: ModelConfig, seed: number): Parameters {
  const { forWeights } = randomPair(seed);
  const parameters: Parameters = new Map();
  for (const layer of layersOf(model)) {
    for (const [name, shape] of parameterShapes(layer)) {
      const data = new Float32Array(shape.reduce((product, length) => product * length, 1));
      fillUniform(data, layer.inputs ** -0.5, forWeights);
      parameters.set(name, { shape, data });
    }
  }
  return parameters;
}

export const digits = readMnist10k;
