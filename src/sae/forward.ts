import { addGemm } from '../gpu/gemm.js';
import type { Program, Workgroups } from '../gpu/program.js';
import { padded, Tensor } from '../gpu/tensor.js';
import type { ModelLayer } from './model.js';

/** Invocations a workgroup of the kernels that have one dimension. */
const threads = 64;
/** What every adapter allows in one dimension. */
const mostWorkgroups = 65_535;

/** The uniform that elementwise kernels need: the rows, the vec4s a row and the columns of a matrix. */
export function matrixSizes({ rows, columns }: Tensor): Uint32Array<ArrayBuffer> {
  return new Uint32Array([padded(rows), padded(columns) / 4, columns]);
}

/** Workgroups for `elementwise.wgsl`: an invocation takes a vec4 of columns over 8 rows. */
export function elementwiseGrid({ rows, columns }: Tensor): Workgroups {
  return [Math.ceil(padded(columns) / 4 / 32), Math.ceil(padded(rows) / 8)];
}

/** Workgroups for a kernel that walks over all vec4s in strides, about `each` an invocation. */
export function stridedGrid({ rows, columns }: Tensor, each: number): Workgroups {
  const groups = Math.ceil((padded(rows) * padded(columns)) / 4 / threads / each);
  return [Math.min(groups, mostWorkgroups), 1];
}

/** Workgroups for a kernel with one invocation a vec4 of columns. */
export function columnGrid({ columns }: Tensor): Workgroups {
  return [Math.ceil(padded(columns) / 4 / threads), 1];
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
