import { addGemm } from '../gpu/gemm.js';
import type { Bindings, Program } from '../gpu/program.js';
import { Tensor } from '../gpu/tensor.js';
import type { ModelLayer } from './model.js';

/** A batch's input that is read where it is used, by the functions of some WGSL files. */
export interface BatchInput {
  /** They declare `step` and provide `input_at`. */
  readonly files: readonly string[];
  readonly bindings: Bindings;
}

/** Where the last encoder layer leaves what `hidden_statistics.wgsl` adds up. */
export interface HiddenSums {
  readonly step: GPUBuffer;
  /** f32 [rows / 4, hidden]. */
  readonly column_sums: GPUBuffer;
  /** A byte for each of `column_sums`. */
  readonly active_counts: GPUBuffer;
}

/** Appends one layer: output [rows, outputs] = activation(input [rows, inputs] · weightᵀ + bias). */
export async function addLayer(
  program: Program,
  { weight, bias, activation, inputs, outputs }: ModelLayer,
  input: Tensor | BatchInput,
  output: Tensor,
  sums?: HiddenSums,
): Promise<void> {
  const plain = input instanceof Tensor;
  const sumFiles = sums
    ? [...(plain ? ['step_only.wgsl'] : []), 'sum_columns.wgsl']
    : ['sum_no_columns.wgsl'];
  const files = [
    'step.wgsl',
    ...(plain ? ['gemm_a.wgsl'] : [...input.files, 'gemm_a_input.wgsl']),
    'gemm_b_transposed.wgsl',
    `${activation}.wgsl`,
    'store_activation.wgsl',
    ...sumFiles,
  ];
  await addGemm(program, { order: 'nt', rows: output.rows, columns: outputs, depth: inputs }, files, {
    ...(plain ? { a: input } : input.bindings),
    b: weight,
    bias,
    c: output,
    layer: new Uint32Array([outputs]),
    ...sums,
  });
}

/** Appends layers one after another. `outputs[i]` takes what layer i gives. */
export async function addLayers(
  program: Program,
  layers: readonly ModelLayer[],
  input: Tensor,
  outputs: readonly Tensor[],
): Promise<void> {
  for (const [i, layer] of layers.entries()) {
    await addLayer(program, layer, i === 0 ? input : outputs[i - 1], outputs[i]);
  }
}

/** Tensors for what each layer gives for `rows` rows. */
export function layerOutputs(layers: readonly ModelLayer[], rows: number): Tensor[] {
  return layers.map((layer) => new Tensor(layer.weight.gpu, `${layer.name}.output`, [rows, layer.outputs]));
}
