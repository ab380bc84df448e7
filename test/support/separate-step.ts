import { multiply } from '../../src/gpu/gemm.js';
import { Program, type Workgroups } from '../../src/gpu/program.js';
import { padded, Tensor } from '../../src/gpu/tensor.js';
import type { Dataset } from '../../src/sae/dataset.js';
import { elementwiseGrid, matrixSizes } from '../../src/sae/elementwise.js';
import { Examples } from '../../src/sae/examples.js';
import { parameterShapes } from '../../src/sae/layers.js';
import type { Model } from '../../src/sae/model.js';
import { stepRecords } from '../../src/sae/schedule.js';

/** Workgroups for a kernel with one invocation a vec4 of columns. */
export function columnGrid({ columns }: Tensor): Workgroups {
  return [Math.ceil(padded(columns) / 4 / 64), 1];
}

/** Workgroups for a kernel that walks over all vec4s in strides, about `each` an invocation. */
export function stridedGrid({ rows, columns }: Tensor, each: number): Workgroups {
  return [Math.ceil((padded(rows) * padded(columns)) / 4 / 64 / each), 1];
}

/** Adam's m and v as `moments` buffers hold them: a padded vec4 of each in turn. */
export function interleaved(
  shape: readonly number[],
  m: Float32Array,
  v: Float32Array,
): Float32Array<ArrayBuffer> {
  const columns = shape[shape.length - 1];
  const stride = padded(columns);
  const rows = shape.length === 1 ? 1 : padded(shape[0]);
  const out = new Float32Array(2 * rows * stride);
  m.forEach((value, i) => {
    const at = Math.floor(i / columns) * stride + (i % columns);
    const first = Math.floor(at / 4) * 8 + (at % 4);
    out[first] = value;
    out[first + 4] = v[i];
  });
  return out;
}

/** The two halves of a `moments` buffer that is given whole, padding and all. */
export function deinterleaved(
  shape: readonly number[],
  moments: Float32Array,
): [m: Float32Array<ArrayBuffer>, v: Float32Array<ArrayBuffer>] {
  const columns = shape[shape.length - 1];
  const stride = padded(columns);
  const length = shape.length === 1 ? columns : shape[0] * columns;
  const half = (offset: number) =>
    Float32Array.from({ length }, (_, i) => {
      const at = Math.floor(i / columns) * stride + (i % columns);
      return moments[Math.floor(at / 4) * 8 + (at % 4) + offset];
    });
  return [half(0), half(4)];
}

/**
 * The gradients of one batch of all rows, computed by the separate kernels one after another, nothing fused:
 * what the fused training step is compared with. By parameter name.
 */
export async function separateGradients(
  model: Model,
  dataset: Dataset,
  settings: { sparsity_lambda: number; sparsity_target: number },
): Promise<Map<string, Float32Array<ArrayBuffer>>> {
  const { gpu, layers, config, encoder } = model;
  const { rows } = dataset;
  const program = new Program(gpu);
  const examples = await Examples.upload(gpu, dataset);
  const records = new Uint8Array(stepRecords(rows, 0, { batch_size: rows, lr: 1e-3, ...settings }));
  const step = gpu.buffer('step', 32, GPUBufferUsage.UNIFORM);
  gpu.device.queue.writeBuffer(step, 0, records);
  const order = gpu.buffer('order', rows * 4);
  gpu.device.queue.writeBuffer(
    order,
    0,
    Uint32Array.from({ length: rows }, (_, row) => row),
  );
  const tensor = (name: string, ...shape: number[]) => new Tensor(gpu, name, shape);

  const input = tensor('input', rows, config.in_dims);
  examples.addGather(program, step, order, input);
  const outputs: Tensor[] = [];
  for (const layer of layers) {
    const values = tensor('output', rows, layer.outputs);
    await multiply(program, 'nt', outputs.at(-1) ?? input, layer.weight, values);
    const files = ['elementwise.wgsl', `${layer.activation}.wgsl`, 'bias_activation.wgsl'];
    const bindings = { matrix: matrixSizes(values), bias: layer.bias, values };
    program.add({ files }, bindings, elementwiseGrid(values));
    outputs.push(values);
  }

  const hidden = outputs[encoder.length - 1];
  const means = tensor('means', model.hidden);
  const counts = () => gpu.buffer('counts', padded(model.hidden) * 4);
  const meanFiles = ['step.wgsl', `${config.activation}.wgsl`, 'column_means.wgsl'];
  const meanBindings = { step, hidden, means, active_rows: counts(), ever_active: counts() };
  program.add({ files: meanFiles }, meanBindings, columnGrid(hidden));

  const output = outputs[layers.length - 1];
  let gradient = tensor('gradient', rows, config.in_dims);
  const mse = { files: ['step.wgsl', 'mse.wgsl'] };
  const mseBindings = {
    matrix: matrixSizes(output),
    step,
    inputs: input,
    reconstructions: output,
    gradients: gradient,
    partial_sums: tensor('partial sums', 64),
  };
  program.add(mse, mseBindings, [1, 1]);

  const gradients = new Map<string, Tensor>();
  for (let l = layers.length - 1; l >= 0; l--) {
    const [[weightName, weightShape], [biasName, biasShape]] = parameterShapes(layers[l]);
    const weightGradient = tensor(weightName, ...weightShape);
    await multiply(program, 'tn', gradient, l > 0 ? outputs[l - 1] : input, weightGradient);
    const sums = tensor(biasName, ...biasShape);
    const columnSums = { files: ['column_sums.wgsl'] };
    program.add(columnSums, { matrix: matrixSizes(gradient), values: gradient, sums }, columnGrid(gradient));
    gradients.set(weightName, weightGradient).set(biasName, sums);
    if (l > 0) {
      const below = tensor('gradient', rows, layers[l].inputs);
      await multiply(program, 'nn', gradient, layers[l].weight, below);
      const matrix = matrixSizes(below);
      if (l === encoder.length) {
        const files = ['step.wgsl', 'elementwise.wgsl', 'kl_sparsity.wgsl', 'kl_gradient.wgsl'];
        const bindings = { matrix, step, means, gradients: below };
        program.add({ files }, bindings, elementwiseGrid(below));
      }
      const files = ['elementwise.wgsl', `${config.activation}.wgsl`, 'activation_gradient.wgsl'];
      const bindings = { matrix, outputs: outputs[l - 1], gradients: below };
      program.add({ files }, bindings, elementwiseGrid(below));
      gradient = below;
    }
  }
  await program.ready();
  program.submit();
  const result = new Map<string, Float32Array<ArrayBuffer>>();
  for (const [name, values] of gradients) {
    result.set(name, await values.read());
  }
  return result;
}
