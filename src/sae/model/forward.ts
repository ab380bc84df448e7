import { addGemm } from '../../gpu/gemm/gemm.js';
import type { Bindings, Program } from '../../gpu/program.js';
import { Tensor } from '../../gpu/tensor.js';
import type { BatchInput } from '../rows/window.js';
import type { ModelLayer } from './layers.js';
import { addRescalingNorms } from './rescaling.js';
import { addSelection } from './selection.js';

/** The WGSL file that reads a batch's rows as the first layer takes them. */
export function firstInput({ pre_bias }: ModelLayer): string {
  return pre_bias ? 'rows/centred.wgsl' : 'rows/as_is.wgsl';
}

/** How a product reads a layer's weight as its second operand: the order, and the WGSL file. */
export function weightOperand({ byLatents }: ModelLayer): { order: 'nt' | 'nn'; file: string } {
  return byLatents ? { order: 'nn', file: 'gemm/b.wgsl' } : { order: 'nt', file: 'gemm/b_transposed.wgsl' };
}

/** How a product reads a tensor that is a layer's input as its first operand: the WGSL file, and what it binds besides. */
export function inputOperand({ part, pre_bias, rescaling }: ModelLayer): {
  file: string;
  bindings: Bindings;
} {
  if (pre_bias) {
    return { file: 'layers/centred_a.wgsl', bindings: { pre_bias } };
  }
  return part === 'decoder' && rescaling
    ? { file: 'layers/unscaled_a.wgsl', bindings: { decoder_norms: rescaling.norms } }
    : { file: 'gemm/a.wgsl', bindings: {} };
}

/** WGSL files that provide `note_code` for `layers/activation.wgsl`, and what they bind. */
export interface Noting {
  readonly files: readonly string[];
  readonly bindings: Bindings;
}

/**
 * Appends one layer: output [rows, outputs] = activation(input [rows, inputs] · weightᵀ + bias), where the input is less
 * pre_bias if the layer has one.
 * @param noting what notes something of each block of the output, in a training step whose code that is.
 */
export async function addLayer(
  program: Program,
  layer: ModelLayer,
  input: Tensor | BatchInput,
  output: Tensor,
  noting: Noting = { files: ['metrics/no_code_sums.wgsl'], bindings: {} },
): Promise<void> {
  const { weight, bias, activation, inputs, outputs } = layer;
  const operand = inputOperand(layer);
  const a = input instanceof Tensor ? input : input.batch;
  const rows = input as BatchInput;
  const read = a
    ? { files: [operand.file], bindings: { a } }
    : { files: [...rows.files, firstInput(layer), 'rows/a.wgsl', 'gemm/a.wgsl'], bindings: rows.bindings };
  const { order, file } = weightOperand(layer);
  const files = [
    'metrics/step.wgsl',
    ...read.files,
    file,
    `layers/${activation}.wgsl`,
    'layers/activation.wgsl',
    ...noting.files,
  ];
  const shape = { order, rows: output.rows, columns: outputs, depth: inputs };
  const columns = new Uint32Array([outputs]);
  await addGemm(
    program,
    shape,
    { files },
    {
      ...noting.bindings,
      ...read.bindings,
      ...operand.bindings,
      b: weight,
      bias,
      c: output,
      columns,
    },
  );
}

/** Appends layers one after another. `outputs[i]` is the output of layer i. */
export async function addLayers(
  program: Program,
  layers: readonly ModelLayer[],
  input: Tensor,
  outputs: readonly Tensor[],
): Promise<void> {
  addRescalingNorms(program, layers);
  for (const [i, layer] of layers.entries()) {
    await addLayer(program, layer, i === 0 ? input : outputs[i - 1], outputs[i]);
    if (layer.selection) {
      addSelection(program, layer, outputs[i]);
    }
  }
}

/** Tensors for the outputs of each layer for `rows` rows. */
export function layerOutputs(layers: readonly ModelLayer[], rows: number): Tensor[] {
  return layers.map((layer) => new Tensor(layer.weight.gpu, `${layer.name}.output`, [rows, layer.outputs]));
}
