import type { Activation, ModelConfig } from './config.js';

/** One fully connected layer: output = activation(input · weightᵀ + bias). */
export interface Layer {
  /** As in the original's `state_dict`: `encoder.0`, `encoder.2`, ..., `decoder.0`, ... */
  readonly name: string;
  readonly part: 'encoder' | 'decoder';
  readonly inputs: number;
  readonly outputs: number;
  readonly activation: Activation | 'identity';
}

/** Encoder layers, then decoder layers. The names count the activations between layers, as `nn.Sequential` does. */
export function layersOf({ in_dims, h_dims, activation }: ModelConfig): Layer[] {
  const sizes = [in_dims, ...h_dims];
  const encoder = h_dims.map((outputs, i): Layer => {
    return { name: `encoder.${2 * i}`, part: 'encoder', inputs: sizes[i], outputs, activation };
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

/** A layer's tensors by name: the weight is [outputs, inputs], the bias [outputs]. */
export function parameterShapes(layer: Layer): [name: string, shape: readonly number[]][] {
  return [
    [`${layer.name}.weight`, [layer.outputs, layer.inputs]],
    [`${layer.name}.bias`, [layer.outputs]],
  ];
}
