import { addGemm } from '../../gpu/gemm/gemm.js';
import type { Bindings, Program } from '../../gpu/program.js';
import { Tensor } from '../../gpu/tensor.js';
import type { BatchInput } from '../rows/window.js';
import type { ModelLayer } from './layers.js';
import { addSelection } from './selection.js';

/**
 * Appends one layer: output [rows, outputs] = activation(input [rows, inputs] · weightᵀ + bias).
 * @param sums what `metrics/code_sums.wgsl` binds, if the output is the code in a training step.
 */
export async function addLayer(
  program: Program,
  { weight, bias, activation, inputs, outputs }: ModelLayer,
  input: Tensor | BatchInput,
  output: Tensor,
  sums?: Bindings,
): Promise<void> {
  const plain = input instanceof Tensor;
  const files = [
    'metrics/step.wgsl',
    ...(plain ? ['gemm/a.wgsl'] : [...input.files, 'rows/a.wgsl']),
    'gemm/b_transposed.wgsl',
    `layers/${activation}.wgsl`,
    'layers/activation.wgsl',
    sums ? 'metrics/code_sums.wgsl' : 'metrics/no_code_sums.wgsl',
  ];
  const shape = { order: 'nt', rows: output.rows, columns: outputs, depth: inputs } as const;
  const columns = new Uint32Array([outputs]);
  const read = plain ? { a: input } : input.bindings;
  await addGemm(program, shape, { files }, { ...sums, ...read, b: weight, bias, c: output, columns });
}

/** Appends layers one after another. `outputs[i]` is the output of layer i. */
export async function addLayers(
  program: Program,
  layers: readonly ModelLayer[],
  input: Tensor,
  outputs: readonly Tensor[],
): Promise<void> {
  for (const [i, layer] of layers.entries()) {
    await addLayer(program, layer, i === 0 ? input : outputs[i - 1], outputs[i]);
    if (layer.selection) {
      addSelection(program, layer.selection, outputs[i]);
    }
  }
}

/** Tensors for the outputs of each layer for `rows` rows. */
export function layerOutputs(layers: readonly ModelLayer[], rows: number): Tensor[] {
  return layers.map((layer) => new Tensor(layer.weight.gpu, `${layer.name}.output`, [rows, layer.outputs]));
}
