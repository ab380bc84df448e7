import { addGemm } from '../gpu/gemm.js';
import { grid, type Program } from '../gpu/program.js';
import { padded, Tensor } from '../gpu/tensor.js';
import type { ModelLayer } from './model.js';

const threads = 64;

/** The uniform that elementwise kernels need: the rows, the vec4s a row and the columns of a matrix. */
export function matrixSizes({ rows, columns }: Tensor): Uint32Array<ArrayBuffer> {
  return new Uint32Array([padded(rows), padded(columns) / 4, columns]);
}

/** Workgroups for a kernel with one invocation a vec4 of the tensor. */
export function elementwiseGrid({ rows, columns }: Tensor) {
  return grid(Math.ceil((padded(rows) * padded(columns)) / 4 / threads));
}

/** Workgroups for a kernel with one invocation a vec4 of columns. */
export function columnGrid({ columns }: Tensor) {
  return grid(Math.ceil(padded(columns) / 4 / threads));
}

/** Appends one layer: output [rows, outputs] = activation(input [rows, inputs] · weightᵀ + bias). */
export async function addLayer(
  program: Program,
  layer: ModelLayer,
  input: Tensor,
  output: Tensor,
): Promise<void> {
  await addGemm(program, 'nt', input, layer.weight, output);
  const kernel = await program.gpu.kernel({
    files: ['elementwise.wgsl', `${layer.activation}.wgsl`, 'bias_activation.wgsl'],
  });
  program.add(kernel, [matrixSizes(output), layer.bias, output], elementwiseGrid(output));
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
