import { padded, type Tensor } from '../../../gpu/tensor.js';
import { addLayer } from '../../model/forward.js';
import type { Windows } from '../../rows/window.js';
import type { StepBuild } from '../build.js';
import { addLog, shareBytes } from '../forward.js';
import { addPreBiasGradient, addUpdate, gradientOf, momentsAt } from '../update.js';
import { addByLines, addLatentLists, addRowLists, allocateLists } from './lists.js';

// A training step whose code is lists of latents, of a model with one hidden layer. But for the encoder's product, it takes
// as much work as there are entries, and the update's reads and writes.

/** Makes what the step needs besides the code, the gradient of the output and the moments. */
export function allocateSparse(build: StepBuild): void {
  const { rows, model } = build;
  allocateLists(build);
  build.makeTensor('batch', [rows, model.config.in_dims], `A batch [${rows}, ${model.config.in_dims}]`);
  build.makePassBuffer('ever_active', 'The counts of active rows', padded(model.hidden) * 4);
  build.makeBuffer('shares', 'Shares of sums', rows * shareBytes);
  for (const { bias } of model.layers) {
    build.makeTensor(gradientOf(bias.name), bias.shape);
  }
  build.makeBuffer('gradient_scale', "The gradients' scale", 4);
}

/** Appends the whole step. */
export async function addSparseStep(build: StepBuild, windows: Windows): Promise<void> {
  const { program, model, rows, bindings, config } = build;
  const [encoder, decoder] = model.layers;
  const { pre_bias, ...layer } = encoder;
  const batch = build.tensor('batch');
  windows.addGather(program, build.buffer('step'), batch, pre_bias);
  await addLayer(program, layer, batch, build.code);
  addRowLists(build);

  const gradients = build.tensor(`${decoder.name}.gradient`);
  const columnBlocks = padded(decoder.outputs) / 4;
  const divisor = config.reconstruction === 'sum' ? 1 : decoder.outputs;
  const decode = new Uint32Array([rows, columnBlocks, divisor]);
  const centred = { centred: pre_bias === undefined ? 0 : 1 };
  const own = { decode, gradients, decoder_weights: decoder.weight, bias: decoder.bias };
  addByLines(build, { files: ['sparse/decode.wgsl'], constants: centred }, own, rows);
  addLog(build);

  addLatentLists(build);
  const output = {
    output: new Uint32Array([columnBlocks]),
    gradients,
    output_bias_gradients: build.tensor(gradientOf(decoder.bias.name)),
  };
  const sums = { files: ['metrics/step.wgsl', 'sparse/output_bias.wgsl'] };
  program.add(sums, { ...bindings, ...output }, [model.gpu.groups(columnBlocks), 1]);
  // Of the decoder first: it also gives the gradient of the encoder's bias.
  addWeightUpdate(build, decoder.weight, gradients);
  // The encoder's weights are a factor in this: they are updated after it.
  addPreBiasGradient(build);
  addWeightUpdate(build, encoder.weight, batch);
  build.model.gpu.write(build.buffer('gradient_scale'), new Float32Array([1]));
  for (const { bias } of model.layers) {
    addUpdate(build, bias);
  }
}

/** Appends the gradient and the update of weights [latents, inputs]. @param row_values what is added up, by rows. */
function addWeightUpdate(build: StepBuild, weights: Tensor, row_values: Tensor): void {
  const { rule, config, model } = build;
  const [encoder, decoder] = model.layers;
  const ofDecoder = weights === decoder.weight;
  const moments = momentsAt(build, weights);
  const files = [...rule.files, moments.file, 'sparse/update.wgsl'];
  const constants = {
    ...rule.constants(config),
    of_decoder: ofDecoder ? 1 : 0,
    unit_norm: ofDecoder && config.decoder_norm === 'unit' ? 1 : 0,
  };
  const latents = new Uint32Array([model.hidden, padded(weights.columns) / 4]);
  const code_bias_gradients = build.tensor(gradientOf(encoder.bias.name));
  const bindings = { ...moments.bindings, latents, weights, row_values, code_bias_gradients };
  addByLines(build, { files, constants }, bindings, model.hidden);
}
