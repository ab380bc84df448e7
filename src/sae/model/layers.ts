import type { Tensor } from '../../gpu/tensor.js';
import type { Activation, ModelConfig } from '../config.js';
import type { Selection } from '../sparsity/index.js';
import type { Parameter } from './parameter.js';

/** One fully connected layer: output = activation(input · weightᵀ + bias). */
export interface Layer {
  /** As in the `state_dict` of the original program: `encoder.0`, `encoder.2`, ..., `decoder.0`, ... */
  readonly name: string;
  readonly part: 'encoder' | 'decoder';
  readonly inputs: number;
  readonly outputs: number;
  readonly activation: Activation | 'identity';
  /** Which of its outputs stay, if it makes the code and not all do. */
  readonly selection?: Selection | undefined;
}

/** The norms of the directions in the first decoder layer, [latents], and the weights that they are those of. */
export interface Rescaling {
  /** Made anew by whatever reads them. */
  readonly norms: Tensor;
  readonly weight: Tensor;
  readonly byLatents: boolean;
}

/** A layer with its parameters on the device: weight [outputs, inputs] unless `byLatents`, bias [outputs]. */
export interface ModelLayer extends Layer {
  /** Whether its weight lies on the device as [inputs, outputs]: the decoder's after a code of lists, of which few rows are read. */
  readonly byLatents?: boolean;
  readonly weight: Tensor;
  readonly bias: Tensor;
  /** The bias [inputs] that is subtracted from its input first, if the model has `pre_bias` and it is the first layer. */
  readonly pre_bias?: Tensor;
  /** Above which its outputs stay, [outputs] or [1], if it makes the code and they are selected so. */
  readonly threshold?: Tensor | undefined;
  /** By which its outputs are multiplied before they are selected, if it makes the code, or its inputs divided, if it reads that. */
  readonly rescaling?: Rescaling;
}

/**
 * The layers of a model with their parameters, weight and bias, as `layersOf` has them.
 * @param byLatents of the first decoder layer.
 * @param norms of its directions, if latents are selected by them, [latents].
 */
export function modelLayersOf(
  config: ModelConfig,
  parameters: readonly (readonly [weight: Tensor, bias: Tensor])[],
  threshold: Tensor | undefined,
  byLatents = false,
  norms?: Tensor,
): ModelLayer[] {
  const [, pre_bias] = parameters[parameters.length - 1];
  const first = config.h_dims.length;
  const rescaling = norms && { norms, weight: parameters[first][0], byLatents };
  return layersOf(config).map((layer, i) => {
    const [weight, bias] = parameters[i];
    const own = {
      ...layer,
      weight,
      bias,
      ...(i === 0 && config.pre_bias && { pre_bias }),
      ...(thresholdOf(layer) && { threshold }),
      ...(rescaling && (i === first - 1 || i === first) && { rescaling }),
    };
    return byLatents && i === first ? { ...own, byLatents } : own;
  });
}

/**
 * Encoder layers, then decoder layers. The numbers in their names count activations too, as in PyTorch's
 * `nn.Sequential`.
 */
export function layersOf({ in_dims, h_dims, activation, selection }: ModelConfig): Layer[] {
  const sizes = [in_dims, ...h_dims];
  const encoder = h_dims.map((outputs, i): Layer => {
    const layer = { name: `encoder.${2 * i}`, inputs: sizes[i], outputs, activation };
    const last = i === h_dims.length - 1;
    return { ...layer, part: 'encoder', ...(last && selection && { selection }) };
  });
  const decoder = h_dims.map((_, i): Layer => {
    const last = i === h_dims.length - 1;
    return {
      name: `decoder.${2 * i}`,
      part: 'decoder',
      inputs: sizes[h_dims.length - i],
      outputs: sizes[h_dims.length - i - 1],
      activation: last ? 'identity' : activation,
    };
  });
  return [...encoder, ...decoder];
}

/**
 * A layer's weight [outputs, inputs] and bias [outputs], initialised as by PyTorch's `nn.Linear`, and its threshold, if it
 * has one.
 */
export function parametersOf(
  layer: Layer,
): readonly [weight: Parameter, bias: Parameter, ...threshold: Parameter[]] {
  const { name, inputs, outputs } = layer;
  const bound = inputs ** -0.5;
  const threshold = thresholdOf(layer);
  return [
    { name: `${name}.weight`, shape: [outputs, inputs], bound },
    { name: `${name}.bias`, shape: [outputs], bound },
    ...(threshold ? [threshold] : []),
  ];
}

/** The threshold above which a layer's outputs stay, if they are selected so: [outputs] or, one for all, [1]. */
export function thresholdOf({ name, outputs, selection }: Layer): Parameter | undefined {
  return selection && 'threshold' in selection
    ? { name: `${name}.threshold`, shape: [selection.threshold === 'each' ? outputs : 1], bound: 0 }
    : undefined;
}

/** Every layer's width from the input through the code to the output, such as 784-20-784. */
export function sizesInWords({ in_dims, h_dims }: Pick<ModelConfig, 'in_dims' | 'h_dims'>): string {
  return [in_dims, ...h_dims, ...h_dims.slice(0, -1).reverse(), in_dims].join('-');
}
