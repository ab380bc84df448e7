import type { LineWork } from '../../../gpu/lines.js';
import { padded, type Tensor } from '../../../gpu/tensor.js';
import { byteWork } from '../../../gpu/work.js';
import { addLayer } from '../../model/forward.js';
import { addRescaling, addRescalingNorms } from '../../model/rescaling.js';
import { gathered, type Windows } from '../../rows/window.js';
import { nestedWidths } from '../../sparsity/matryoshka.js';
import type { StepBuild } from '../build.js';
import { addDivisor } from '../divisor.js';
import { addLog, shareBytes } from '../forward.js';
import { addBlocks, blockCount, type RowBlock } from '../row-blocks.js';
import { countsSilentRows } from '../silent-rows.js';
import {
  addClip,
  addPreBiasGradient,
  addSquares,
  addUpdate,
  gradientOf,
  momentsAt,
  squaresShares,
} from '../update.js';
import { auxkLossOf, keepsSigns, listOptions } from './choice.js';
import {
  addAuxLists,
  addByLines,
  addClear,
  addDead,
  addLatentLists,
  addRowLists,
  addUnscaled,
  allEntries,
  allocateLists,
  auxEntries,
  auxkOf,
  endRowLists,
  listRows,
  rowEntries as rowEntriesOf,
} from './lists.js';
import { allocateMaxima, type Maxima, maximaOf, notingMaxima, takesMaxima } from './maxima.js';
import { latentEntries, rowEntries, type ScatteredRows, scatteredRows, together } from './scattered.js';

// A training step whose code is lists of latents, of a model with one hidden layer. But for the encoder's product, it takes
// as much work as there are entries, and the update's reads and writes.

/** The widths by which latents reconstruct the rows. */
function widthsOf({ config, model }: StepBuild): number[] {
  return config.sparsity === 'matryoshka' ? nestedWidths(listOptions(config), model.hidden) : [model.hidden];
}

/** Rows of the gradients of reconstructions: of all levels, and of AuxK's. */
function gradientRows(build: StepBuild): number {
  const kinds = widthsOf(build).length + (auxEntries(build) > 0 ? 1 : 0);
  return kinds > 1 ? kinds * listRows(build) : build.rows;
}

/** Makes what the step needs besides the code and the moments. */
export function allocateSparse(build: StepBuild): void {
  const { rows, model, config } = build;
  const [encoder, decoder] = model.layers;
  allocateLists(build);
  if (takesMaxima(build)) {
    allocateMaxima(build);
  }
  const gradients = [gradientRows(build), decoder.outputs];
  build.makeTensor(`${decoder.name}.gradient`, gradients, `The gradients of reconstructions [${gradients}]`);
  build.makePassBuffer('rows_active', 'The counts of active rows', padded(model.hidden) * 4);
  build.makeBuffer('shares', 'Shares of sums', rows * shareBytes);
  for (const { bias } of model.layers) {
    build.makeTensor(gradientOf(bias.name), bias.shape);
  }
  build.makeBuffer('gradient_scale', "The gradients' scale", 4);
  if (config.clip_norm !== undefined) {
    const shares = squaresShares(encoder.bias) + squaresShares(decoder.bias);
    build.makeBuffer('squares', "Shares of the gradients' squares", (2 * model.hidden + shares) * 4);
  }
  if (countsSilentRows(build)) {
    build.makeBuffer('dead', 'Which latents are dead', padded(model.hidden) * 4);
  }
  if (auxEntries(build) > 0) {
    build.makeBuffer('auxk_shares', 'Shares of the squared errors of AuxK', padded(rows) * 4);
    build.makeBuffer('auxk_scale', 'The scale of AuxK', 4);
    build.makeTensor('error_sums', [decoder.outputs]);
  }
}

/**
 * Appends the whole step. Where the batch's pre-activations do not fit into a buffer, they are made and used in blocks of rows, and for
 * AuxK made again: which latents are dead is known after the last block.
 */
export async function addSparseStep(build: StepBuild, windows: Windows): Promise<void> {
  const { program, model, config } = build;
  const [encoder, decoder] = model.layers;
  const step = build.buffer('step');
  const batch = build.tensor('batch');
  windows.addGather(program, step, batch, encoder.pre_bias);
  addDivisor(build, gathered(step, batch));
  addRescalingNorms(program, model.layers);
  const maxima = takesMaxima(build) ? maximaOf(build) : undefined;
  addClear(build);
  await addBlocks(build, step, async (block) => {
    await addCode(build, windows, block, maxima);
    addRowLists(build, block, maxima);
  });
  endRowLists(build);
  const weights = scatteredRows(build, decoder.weight);
  addDecoding(build, weights);
  addLog(build);
  if (countsSilentRows(build)) {
    addDead(build);
  }
  if (auxEntries(build) > 0) {
    await addAuxK(build, windows, weights);
  }
  addLatentLists(build);
  addErrorSums(build, 0, build.tensor(gradientOf(decoder.bias.name)));
  if ((auxkLossOf(config)?.bias ?? 'none') !== 'none') {
    const first = widthsOf(build).length * listRows(build);
    addErrorSums(build, first, build.tensor(gradientOf(decoder.bias.name)), true);
  }
  addUpdates(build, latentEntries(build));
}

/**
 * Appends the encoder's product of a block of rows, multiplied by the norms of directions if latents are selected so: its code or, if
 * AuxK takes values of either sign, the pre-activations, of which the selection takes those above 0.
 */
async function addCode(
  build: StepBuild,
  windows: Windows,
  block: RowBlock,
  maxima: Maxima | undefined,
): Promise<void> {
  const { program, model, rows, code, config } = build;
  const [{ pre_bias, ...encoder }] = model.layers;
  const whole = block.rows === rows;
  const batch = build.tensor(whole ? 'batch' : 'block_batch');
  if (!whole) {
    windows.addGather(program, block.step, batch, pre_bias);
  }
  const activation = keepsSigns(config) ? 'identity' : encoder.activation;
  await addLayer(program, { ...encoder, activation }, batch, code, maxima && notingMaxima(maxima));
  if (model.rescaling) {
    addRescaling(program, model.rescaling, code);
  }
}

/** What the kernels that decode bind, for lists and gradients that begin there. */
function decoding(build: StepBuild, read: ScatteredRows, firstList: number, firstGradient: number) {
  const { model } = build;
  const [, decoder] = model.layers;
  const columnBlocks = padded(decoder.outputs) / 4;
  const words = [columnBlocks, firstList, firstGradient, listRows(build)];
  return {
    decode: new Uint32Array(words),
    gradients: build.tensor(`${decoder.name}.gradient`),
    ...read.bindings,
    bias: decoder.bias,
    levels: levelsOf(build),
  };
}

/** The work of decoding lists: the row of the decoder of each entry is read for the reconstruction and for the value's gradient. */
function decodingWork(
  build: StepBuild,
  entries: { readonly first: number; readonly count: number },
): LineWork {
  const { rows, model } = build;
  const { in_dims } = model.config;
  const each = in_dims * (4 + 8 * byteWork);
  // Each level's gradient is stored, and read and stored once more.
  const ofRow = (1 + 3 * widthsOf(build).length) * in_dims * 4 * byteWork;
  return { count: rows, each: ofRow, entries: { ...entries, each } };
}

/** `struct Levels` of `sparse/nested_levels.wgsl`. */
function levelsOf(build: StepBuild): Uint32Array<ArrayBuffer> {
  const widths = widthsOf(build);
  const levels = new Uint32Array(20);
  levels[0] = widths.length;
  levels.set(widths, 4);
  return levels;
}

/** The file that says which level a latent is of. */
function levelFile({ config }: StepBuild): string {
  return config.sparsity === 'matryoshka' ? 'sparse/nested_levels.wgsl' : 'sparse/one_level.wgsl';
}

/** Appends the reconstruction, its errors and their gradients. */
function addDecoding(build: StepBuild, weights: ScatteredRows): void {
  const constants = { centred: build.model.config.pre_bias ? 1 : 0 };
  const read = together(weights, rowEntries(build));
  const files =
    build.config.sparsity === 'matryoshka'
      ? ['sparse/nested_levels.wgsl', ...read.files, 'sparse/decode_nested.wgsl']
      : ['sparse/decode_rows.wgsl', ...read.files, 'sparse/decode.wgsl'];
  const entries = { first: 0, count: rowEntriesOf(build) };
  addByLines(build, { files, constants }, decoding(build, read, 0, 0), decodingWork(build, entries));
}

/** Appends AuxK: lists of dead latents, the reconstruction by them of what the rows' own lacks, its term and its gradients. */
async function addAuxK(build: StepBuild, windows: Windows, weights: ScatteredRows): Promise<void> {
  const { program, model, rows, config, bindings } = build;
  const [, decoder] = model.layers;
  const { relative, bias } = auxkLossOf(config)!;
  const levels = widthsOf(build).length;
  await addBlocks(build, build.buffer('update'), async (block) => {
    if (block.rows < rows) {
      await addCode(build, windows, block, undefined);
    }
    addAuxLists(build, block);
  });
  addUnscaled(build, listRows(build));
  addErrorSums(build, (levels - 1) * listRows(build), build.tensor('error_sums'));
  const scale = new Uint32Array([padded(model.config.in_dims) / 4]);
  const scaling = { files: ['metrics/step.wgsl', 'sparse/auxk_scale.wgsl'] };
  const constants = { relative: relative ? 1 : 0, auxk_k: auxkOf(build) };
  program.add({ ...scaling, constants }, { ...bindings, scale }, [1, 1]);
  // Products of blocks may have put the encoder's weights, a matrix of the same shape, in the place of the decoder's.
  const current = blockCount(build) > 1 ? scatteredRows(build, decoder.weight) : weights;
  const read = together(current, rowEntries(build));
  const own = decoding(build, read, listRows(build), levels * listRows(build));
  const files = ['sparse/decode_residuals.wgsl', ...read.files, 'sparse/decode.wgsl'];
  const residuals = { files, constants: { added_bias: bias === 'added' ? 1 : 0 } };
  const entries = { first: rowEntriesOf(build), count: rows * auxEntries(build) };
  addByLines(build, residuals, { ...own, step: build.buffer('update') }, decodingWork(build, entries));
  program.add({ files: ['metrics/step.wgsl', 'sparse/auxk_log.wgsl'] }, bindings, [1, 1]);
}

/**
 * Appends the sums over rows of a level's gradients of the reconstruction, which begin there.
 * @param adding whether they are added to what is in `sums`.
 */
function addErrorSums(build: StepBuild, first: number, sums: Tensor, adding = false): void {
  const { program, model, bindings } = build;
  const [, decoder] = model.layers;
  const columnBlocks = padded(decoder.outputs) / 4;
  const own = {
    output: new Uint32Array([columnBlocks, first]),
    gradients: build.tensor(`${decoder.name}.gradient`),
    output_bias_gradients: sums,
  };
  const files = ['metrics/step.wgsl', 'sparse/output_bias.wgsl'];
  const source = { files, constants: { adding: adding ? 1 : 0 } };
  program.add(source, { ...bindings, ...own }, [model.gpu.groups(columnBlocks), 1]);
}

/** Appends the gradients of all parameters from the lists, their norm if it is limited, and the updates. */
function addUpdates(build: StepBuild, entries: ScatteredRows): void {
  const { model, config } = build;
  const [encoder, decoder] = model.layers;
  if (config.clip_norm === undefined) {
    model.gpu.write(build.buffer('gradient_scale'), new Float32Array([1]));
  } else {
    // Of the decoder first: it also gives the gradient of the encoder's bias.
    addWeights(build, entries, decoder.weight, { first: 0 });
    addPreBiasGradient(build);
    addWeights(build, entries, encoder.weight, { first: model.hidden });
    let first = 2 * model.hidden;
    for (const { bias } of model.layers) {
      first = addSquares(build, bias, first);
    }
    addClip(build);
  }
  addWeights(build, entries, decoder.weight);
  if (config.clip_norm === undefined) {
    // The encoder's weights are a factor in this: they are updated after it.
    addPreBiasGradient(build);
  }
  addWeights(build, entries, encoder.weight);
  for (const { bias } of model.layers) {
    addUpdate(build, bias);
  }
}

/**
 * Appends the gradient of weights [latents, inputs], and its use: their update or, with a place for them, the sums of its
 * squares.
 */
function addWeights(
  build: StepBuild,
  entries: ScatteredRows,
  weights: Tensor,
  squares?: { readonly first: number },
): void {
  const { rule, config, model } = build;
  const [encoder, decoder] = model.layers;
  const ofDecoder = weights === decoder.weight;
  const moments = momentsAt(build, weights);
  const taking = squares
    ? ['sparse/take_squares.wgsl']
    : [...rule.files, moments.file, 'sparse/take_update.wgsl'];
  const constants = {
    ...(!squares && rule.constants(config)),
    of_decoder: ofDecoder ? 1 : 0,
    unit_norm: ofDecoder && config.decoder_norm === 'unit' ? 1 : 0,
    aux_trains_encoder: (auxkLossOf(config)?.trains_encoder ?? true) ? 1 : 0,
  };
  const columnBlocks = padded(weights.columns) / 4;
  const rows = scatteredRows(build, build.tensor(ofDecoder ? `${decoder.name}.gradient` : 'batch'));
  const read = together(rows, entries);
  const bindings = {
    ...moments.bindings,
    latents: new Uint32Array([columnBlocks, listRows(build), widthsOf(build).length]),
    levels: levelsOf(build),
    weights,
    ...read.bindings,
    code_bias_gradients: build.tensor(gradientOf(encoder.bias.name)),
    place: new Uint32Array([squares?.first ?? 0]),
  };
  const files = [...read.files, levelFile(build), ...taking, 'sparse/update.wgsl'];
  // Of each weight, it and two moments are read and stored; where norms are 1, weights are once more before and after.
  const each = (6 + 3) * weights.columns * 4 * byteWork;
  const ofEntry = { first: 0, count: allEntries(build), each: weights.columns * (2 + 4 * byteWork) };
  addByLines(build, { files, constants }, bindings, { count: model.hidden, each, entries: ofEntry });
}
