import { z } from 'zod';
import { ConfigError } from './errors.js';

/** A message for zod that says what was expected and what was given. */
function expected(sentence: string) {
  return {
    error: ({ input }: { input?: unknown }) =>
      `${sentence}, and is ${typeof input === 'number' ? input : JSON.stringify(input)}.`,
  };
}

const whole = (name: string, least: number, most = Number.MAX_SAFE_INTEGER) => {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  const fault = expected(`${name} must be a whole number ${range}`);
  return z.number(fault).int(fault).min(least, fault).max(most, fault);
};
const number = (name: string, range: string, accept: (value: number) => boolean) => {
  const fault = expected(`${name} must be a number ${range}`);
  return z.number(fault).refine(accept, fault);
};
const list = 'h_dims must be a list of whole numbers of at least 1, such as [256, 128, 64]';

const modelConfig = z.strictObject({
  in_dims: whole('in_dims', 1).default(784),
  h_dims: z.array(whole('each of h_dims', 1), expected(list)).min(1, expected(list)).default([20]),
  activation: z.enum(['relu', 'sigmoid'], expected('activation must be relu or sigmoid')).default('relu'),
});

export const trainConfig = z.strictObject({
  batch_size: whole('batch_size', 1).default(64),
  epochs: whole('epochs', 1).default(20),
  lr: number('lr', 'above 0', (value) => value > 0).default(1e-4),
  sparsity_lambda: number('sparsity_lambda', 'of at least 0', (value) => value >= 0).default(0.2),
  sparsity_target: number(
    'sparsity_target',
    'between 0 and 0.99',
    (value) => value > 0 && value < 0.99,
  ).default(0.01),
  seed: whole('seed', 0, 0xffffffff).default(42),
  shuffle: z.boolean(expected('shuffle must be true or false')).default(true),
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
