import { refuse } from './bytes.js';
import type { Values } from './stored-tensor.js';

/**
 * How a code is made of the pre-activations `pre = W_enc (x - b_dec if pre_bias) + b_enc`, times the norms of W_dec's rows if `rescaled`:
 * - `relu`: max(pre, 0).
 * - `topk`: the k largest of a row, and of those what is above 0.
 * - `batchtopk`: trained to keep k a row on average over a batch; a trained model keeps what is above one threshold.
 * - `jumprelu`: what is above each latent's threshold.
 * Thresholds are at least 0, and a value that equals its threshold is not kept.
 */
export type ImportedActivation =
  | { readonly kind: 'relu' }
  | { readonly kind: 'topk'; readonly k: number }
  | { readonly kind: 'batchtopk'; readonly threshold: number; readonly k?: number }
  | { readonly kind: 'jumprelu'; readonly threshold: Float32Array<ArrayBuffer> };

/**
 * A sparse autoencoder of another program, in no program's layout. The reconstruction is `W_dec^T code + b_dec`, where the code is divided by
 * the norms of W_dec's rows if `rescaled`.
 */
export interface ImportedSae {
  /** The program that saved it. */
  readonly tool: string;
  /** That program's version, where its files tell. */
  readonly tool_version?: string;
  readonly in_dims: number;
  readonly latents: number;
  /** [latents, in_dims]. */
  readonly W_enc: Float32Array<ArrayBuffer>;
  /** [latents]. */
  readonly b_enc: Float32Array<ArrayBuffer>;
  /** A row is a latent's direction, [latents, in_dims]. */
  readonly W_dec: Float32Array<ArrayBuffer>;
  /** [in_dims]. */
  readonly b_dec: Float32Array<ArrayBuffer>;
  /** Whether b_dec is subtracted from the input. */
  readonly pre_bias: boolean;
  readonly activation: ImportedActivation;
  /** Whether latents are multiplied by the norms of their directions before they are selected. */
  readonly rescaled?: boolean;
  /** Sentences about what its user should know: what was folded in, what the files leave open. */
  readonly notes: readonly string[];
  /** Tensors and fields of the files that say nothing about codes and reconstructions, and are not kept. */
  readonly ignored: readonly string[];
}

/** The weights of an ImportedSae before they are rounded to f32. */
export interface RawWeights {
  readonly W_enc: Values;
  readonly b_enc: Values;
  readonly W_dec: Values;
  readonly b_dec: Values;
}

/** An ImportedSae before it is rounded and checked. */
export interface RawSae extends Omit<ImportedSae, keyof RawWeights | 'in_dims' | 'latents' | 'activation'> {
  readonly weights: RawWeights;
  readonly activation:
    | Exclude<ImportedActivation, { kind: 'jumprelu' }>
    | { readonly kind: 'jumprelu'; readonly threshold: Values };
}

/**
 * Rounds the weights to f32 and checks k; what is f32 already is not copied.
 * @param source the file's name in messages.
 * @throws ModelFileError where a value is beyond the range of f32, or k is no number of latents.
 */
export function importedSae({ weights, activation, ...rest }: RawSae, source: string): ImportedSae {
  const [in_dims, latents] = [weights.b_dec.length, weights.b_enc.length];
  const rounded = (name: string, values: Values) => toF32(values, `${source}, ${name},`);
  return {
    ...rest,
    in_dims,
    latents,
    W_enc: rounded('W_enc', weights.W_enc),
    b_enc: rounded('b_enc', weights.b_enc),
    W_dec: rounded('W_dec', weights.W_dec),
    b_dec: rounded('b_dec', weights.b_dec),
    activation: checkedActivation(activation, latents, source),
  };
}

function checkedActivation(
  activation: RawSae['activation'],
  latents: number,
  source: string,
): ImportedActivation {
  switch (activation.kind) {
    case 'topk':
      if (!Number.isInteger(activation.k) || activation.k < 1 || activation.k > latents) {
        refuse(
          source,
          `its k is ${activation.k}, and a whole number from 1 to ${latents} latents was expected.`,
        );
      }
      return activation;
    case 'batchtopk':
      // A negative threshold is one that was never set: what is kept is above 0 all the same.
      return { ...activation, threshold: Math.max(Math.fround(activation.threshold), 0) };
    case 'jumprelu':
      // relu(pre) is what is kept, so a threshold below 0 acts as 0.
      return {
        kind: 'jumprelu',
        threshold: toF32(activation.threshold, `${source}, threshold,`).map((value) => Math.max(value, 0)),
      };
    default:
      return activation;
  }
}

function toF32(values: Values, source: string): Float32Array<ArrayBuffer> {
  const rounded = values instanceof Float32Array ? values : new Float32Array(values);
  for (let i = 0; i < rounded.length; i++) {
    if (!Number.isFinite(rounded[i])) {
      refuse(
        source,
        `it has ${values[i]} at index ${i}, and finite values in the range of f32 were expected.`,
      );
    }
  }
  return rounded;
}

/** Files by their names: the parts of each, one after another. */
export type SaeFiles = ReadonlyMap<string, readonly Uint8Array<ArrayBuffer>[]>;
