import { EngineError } from '../gpu/errors.js';

/** An option has an invalid value. */
export class ConfigError extends EngineError {}

/** Rows or parameters are invalid: the message names the source, the place and what was expected. */
export class DataError extends EngineError {}

/** A saved model cannot be read or written. */
export class ModelFileError extends EngineError {}

/** A result is not finite: sums exceeded the range of f32. */
export class NonFiniteError extends EngineError {}

/**
 * The loss or the gradient's norm stopped being finite: the model keeps the weights from before that step. Or moments
 * of the update rule did, which is noticed at the end of an epoch and after 1,024 steps: their weights can no longer change.
 */
export class NonFiniteLossError extends NonFiniteError {
  /** @param epoch from 1. @param step within the epoch, from 1. @param largest of the model's values, and the tensor that has it. */
  constructor(
    readonly epoch: number,
    readonly step: number,
    readonly what: 'loss' | 'gradient' | { readonly momentsOf: string } = 'loss',
    readonly largest?: { readonly tensor: string; readonly value: number },
  ) {
    const where = `in epoch ${epoch} at step ${step}. Training stopped there`;
    const size = largest
      ? ` The largest parameter is then ${largest.value.toPrecision(3)}, in ${largest.tensor}.`
      : '';
    const sentences =
      typeof what === 'object'
        ? `The squared gradients of ${what.momentsOf} exceeded the range of f32 by epoch ${epoch}, step ${step}, so some of its ` +
          'weights could no longer change. Training stopped there; scale the rows down, for example with normalize unit, or ' +
          'lower the weight of the penalty.'
        : epoch === 1 && step === 1
          ? `The ${what} stopped being finite ${where}, before anything was learned: the rows, the weights that it began with, or the ` +
            'weight of the penalty are too large for f32. Scale the rows down, for example with normalize unit.'
          : `The ${what} stopped being finite ${where} and the weights from before that step are kept; a smaller lr usually helps.`;
    super(sentences + size);
  }
}
