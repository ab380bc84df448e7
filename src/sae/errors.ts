import { EngineError } from '../gpu/errors.js';

/** An option has a value that makes no sense. */
export class ConfigError extends EngineError {}

/** Examples that are not what they should be: the message names the source, the place and what was expected. */
export class DataError extends EngineError {}

/** A saved model that cannot be read. */
export class ModelFileError extends EngineError {}

/** The loss stopped being finite. The model keeps the weights that it had before that step. */
export class NonFiniteLossError extends EngineError {
  /** Both count from 1; `step` counts within the epoch. */
  constructor(
    readonly epoch: number,
    readonly step: number,
  ) {
    super(
      `The loss stopped being finite in epoch ${epoch} at step ${step}. Training stopped there and the weights ` +
        'from before that step are kept; a smaller lr usually helps.',
    );
  }
}
