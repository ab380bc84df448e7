import { z } from 'zod';
import { ConfigError } from './errors.js';

function fault(sentence: string) {
  return { error: sentence };
}

const count = (name: string) => z.number(fault(`${name} must be a whole number.`));
const wholeFrom = (name: string, least: number) =>
  count(name)
    .int(fault(`${name} must be a whole number.`))
    .min(least, fault(`${name} must be at least ${least}.`));
const finite = (name: string) => z.number(fault(`${name} must be a finite number.`));

const hDims = 'h_dims must be a list of whole numbers of at least 1, such as "[256, 128, 64]"';

const modelConfig = z.strictObject({
  in_dims: wholeFrom('in_dims', 1).default(784),
  h_dims: z
    .array(
      z
        .number(fault(`${hDims}.`))
        .int(fault(`${hDims}.`))
        .min(1, fault(`${hDims}.`)),
      fault(`${hDims}.`),
    )
    .min(1, fault(`${hDims}; it is empty.`))
    .default([20]),
  activation: z.enum(['relu', 'sigmoid'], fault('activation must be relu or sigmoid.')).default('relu'),
});

const trainConfig = z.strictObject({
  batch_size: wholeFrom('batch_size', 1).default(64),
  epochs: wholeFrom('epochs', 1).default(20),
  lr: finite('lr').positive(fault('lr must be above 0.')).default(1e-4),
  sparsity_lambda: finite('sparsity_lambda')
    .min(0, fault('sparsity_lambda must be at least 0.'))
    .default(0.2),
  sparsity_target: finite('sparsity_target')
    .gt(0, fault('sparsity_target must lie between 0 and 0.99.'))
    .lt(0.99, fault('sparsity_target must lie between 0 and 0.99.'))
    .default(0.01),
  seed: count('seed')
    .int(fault('seed must be a whole number.'))
    .min(0, fault('seed must be from 0 to 4294967295.'))
    .max(0xffffffff, fault('seed must be from 0 to 4294967295.'))
    .default(42),
  shuffle: z.boolean(fault('shuffle must be true or false.')).default(true),
});

/** The sizes and the activation of an autoencoder: in_dims -> h_dims[0] -> ... -> h_dims[n-1], and mirrored back. */
export type ModelConfig = z.output<typeof modelConfig>;
/** How it is trained. */
export type TrainConfig = z.output<typeof trainConfig>;
/** What `Model.create` takes: what is left out has its default. */
export type ModelOptions = z.input<typeof modelConfig>;
/** What `Trainer.create` takes: what is left out has its default. */
export type TrainOptions = z.input<typeof trainConfig>;
export type Activation = ModelConfig['activation'];

/** Fills in the defaults, which are the PyTorch original's. @throws ConfigError with a sentence for every fault. */
export function parseModelConfig(config: ModelOptions): ModelConfig {
  return parse(modelConfig, config);
}

/** Fills in the defaults, which are the PyTorch original's. @throws ConfigError with a sentence for every fault. */
export function parseTrainConfig(config: TrainOptions): TrainConfig {
  return parse(trainConfig, config);
}

function parse<T extends z.ZodType>(schema: T, config: z.input<T>): z.output<T> {
  const result = schema.safeParse(config);
  if (!result.success) {
    throw new ConfigError([...new Set(result.error.issues.map((issue) => issue.message))].join(' '));
  }
  return result.data;
}
