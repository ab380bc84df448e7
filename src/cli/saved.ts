import { ConfigError, type NormalizeOption, parseNormalize, type SavedModel } from '../node/index.js';

/**
 * The normalisation that a saved model's inputs need: its own, which is there unless another program saved the file;
 * then the option's, or the data's default. @throws ConfigError where the option differs from the model's.
 */
export function modelNormalization(
  file: string,
  { normalization }: SavedModel,
  option: string | undefined,
): NormalizeOption | undefined {
  const wanted = option === undefined ? undefined : parseNormalize(option);
  if (!normalization || !wanted) {
    return normalization ?? wanted;
  }
  if (wanted === 'unit' || wanted.mean !== normalization.mean || wanted.std !== normalization.std) {
    throw differs(file, 'normalize', `${normalization.mean},${normalization.std}`);
  }
  return normalization;
}

/** The error for an option that says otherwise than the saved model. */
export function differs(file: string, name: string, has: unknown): ConfigError {
  const value = typeof has === 'string' ? has : JSON.stringify(has);
  return new ConfigError(
    `The model ${file} has ${name} ${value}, and the option ${name} says otherwise. Leave the option out.`,
  );
}
