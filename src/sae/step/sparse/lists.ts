import type { Device } from '../../../gpu/device.js';
import type { KernelSource } from '../../../gpu/kernel.js';
import type { Bindings, Workgroups } from '../../../gpu/program.js';
import { padded } from '../../../gpu/tensor.js';
import { addBatchCut, allocateBatchCut } from '../batchtopk.js';
import type { StepBuild } from '../build.js';
import { auxkLossOf, keepsSigns, listOptions, mostLatents } from './choice.js';
import { type Maxima, mostChosen, selectionLanes } from './maxima.js';

/** Bytes of `struct Entry` in `sparse/lists.wgsl`. */
export const entryBytes = 16;

/** Spans of a row, at most: so many maxima are held in workgroup memory. */
const mostSpans = 1024;
/** Log2 of the vec4s of a span, at most, unless there would be too many spans. */
const mostSpanShift = 3;
/** Keys that are held in workgroup memory, at least. */
const leastKeys = 512;
/** Spans that there is room for, at least. */
const leastChosen = 64;

/** Lines that a workgroup takes on a software adapter, one after the other, as long as there are so many workgroups. */
const linesAGroup = 8;
const enoughGroups = 64;

/** Invocations of a workgroup where it is no subgroup. */
const workgroupSize = 64;
/** Lanes of `sparse/lanes_subgroup.wgsl`. */
const subgroupLanes = 8;

/** Entries of all rows, at most. */
function mostEntries({ config, model, rows }: StepBuild): number {
  return Math.floor(mostLatents(model.config, config)! * rows);
}

/** Dead latents of a row in AuxK, of which a model may have fewer. */
export function auxkOf({ config, model }: Pick<StepBuild, 'config' | 'model'>): number {
  return listOptions(config).auxk_k ?? Math.max(1, Math.floor(model.config.in_dims / 2));
}

/** Dead latents of a row in AuxK, at most; 0 without it. */
export function auxEntries(build: Pick<StepBuild, 'config' | 'model'>): number {
  return auxkLossOf(build.config) ? Math.min(auxkOf(build), build.model.hidden) : 0;
}

/** From a row's list to its second one, and from one level's gradients to the next: whole words of bitmaps. */
export function listRows({ rows }: Pick<StepBuild, 'rows'>): number {
  return Math.ceil(rows / 32) * 32;
}

/** Words of a latent's bitmap of rows, and of their second lists. */
function bitmapWords(build: StepBuild): number {
  return (listRows(build) / 32) * (auxEntries(build) > 0 ? 2 : 1);
}

/** Makes the lists of a code. */
export function allocateLists(build: StepBuild): void {
  const { rows, model } = build;
  const lists = auxEntries(build) > 0 ? listRows(build) + rows : rows;
  const entries = mostEntries(build) + rows * auxEntries(build);
  build.makeBuffer('row_lists', `The places of ${lists} lists`, lists * 8);
  // Vec4s, as entries are, that can be copied to images.
  build.makeTensor('entries', [padded(entries), entryBytes / 4], `The lists of ${rows} rows`);
  const bitmaps = Math.ceil((model.hidden * bitmapWords(build)) / 4) * 16;
  build.makeBuffer('bitmaps', `Bitmaps of ${rows} rows for ${model.hidden} latents`, bitmaps);
  build.makeBuffer('latent_counts', `The lengths of ${model.hidden} lists`, model.hidden * 4);
  build.makeBuffer('latent_offsets', `The places of ${model.hidden} lists`, (model.hidden + 1) * 4);
  build.makeTensor(
    'latent_entries',
    [padded(entries), entryBytes / 4],
    `The lists of ${model.hidden} latents`,
  );
  if (build.config.sparsity !== 'topk') {
    allocateBatchCut(build);
    build.makeBuffer('row_counts', `The lengths of ${rows} lists`, rows * 4);
    build.makeBuffer('row_offsets', `The places of ${rows} lists`, (rows + 1) * 4);
  }
}

/** Whether a workgroup is one subgroup: on Mesa's software adapter. */
export function inSubgroups(gpu: Device): boolean {
  return gpu.software && gpu.subgroupSize === subgroupLanes;
}

/** Appends a kernel whose workgroups take a row or a latent each. */
export function addByLines(build: StepBuild, source: KernelSource, bindings: Bindings, lines: number): void {
  const { gpu } = build.model;
  const inSubgroup = inSubgroups(gpu);
  const lanes = inSubgroup ? 'sparse/lanes_subgroup.wgsl' : 'sparse/lanes_workgroup.wgsl';
  const constants = { ...source.constants, ...(!inSubgroup && { workgroup_size: workgroupSize }) };
  const files = [lanes, 'metrics/step.wgsl', 'sparse/lists.wgsl', ...(source.files ?? [])];
  build.program.add({ files, constants }, { ...build.bindings, ...bindings }, [groupsOfLines(gpu, lines), 1]);
}

/** Workgroups that take a line each or, on a software adapter, several: to start one takes as long as a short line. */
function groupsOfLines(gpu: Device, lines: number): number {
  const most = gpu.software ? Math.max(enoughGroups, Math.ceil(lines / linesAGroup)) : lines;
  return gpu.groups(Math.min(lines, most));
}

/** Appends the selection of latents in the code, by rows. @param maxima if it is known: see `maxima.ts`. */
export function addRowLists(build: StepBuild, maxima?: Maxima): void {
  addSelected(build, maxima);
  addUnscaled(build, 0);
}

function addSelected(build: StepBuild, maxima?: Maxima): void {
  const { config, model, code, program, rows } = build;
  const bitmaps = build.buffer('bitmaps');
  program.add({ files: ['sparse/clear.wgsl'] }, { bitmaps }, byThreads(build, bitmaps.size / 16));
  if (config.sparsity === 'topk') {
    const place = { most: mostLatents(model.config, config)!, firstList: 0, firstEntry: 0 };
    if (maxima) {
      addSelectionByMaxima(build, maxima, place);
    } else {
      addSelection(build, ['sparse/not_negative.wgsl', 'sparse/all_latents.wgsl'], { code }, place);
    }
    return;
  }
  addBatchCut(build, maxima);
  const kept = new Uint32Array([rows, padded(code.columns) / 4, bitmapWords(build)]);
  const add = maxima
    ? (listing: boolean) => addKeptByMaxima(build, { ...maxima, kept, code }, listing)
    : (listing: boolean) => addKept(build, { kept, code }, listing);
  add(false);
  const offsets = {
    counting: new Uint32Array([rows, 0]),
    latent_counts: build.buffer('row_counts'),
    latent_offsets: build.buffer('row_offsets'),
  };
  program.add({ files: ['sparse/offsets.wgsl'] }, offsets, [1, 1]);
  add(true);
}

/** Appends the lengths or, after their places are known, the lists of what stays of each row by the cut of the batch. */
function addKept(build: StepBuild, bindings: Bindings, listing: boolean): void {
  const own = listing ? 'sparse/kept_lists.wgsl' : 'sparse/kept_counts.wgsl';
  addByLines(build, { files: ['sparsity/batch_cut.wgsl', 'sparse/kept.wgsl', own] }, bindings, build.rows);
}

/** Appends the same by the code's maxima. */
function addKeptByMaxima(build: StepBuild, bindings: Bindings, listing: boolean): void {
  const { program, model, rows } = build;
  const head = ['metrics/step.wgsl', 'sparse/lists.wgsl', 'sparse/maxima.wgsl', 'sparsity/batch_cut.wgsl'];
  const source = { files: [...head, 'sparse/kept_lanes.wgsl'], constants: { listing: listing ? 1 : 0 } };
  const groups = model.gpu.groups(Math.ceil(rows / selectionLanes));
  program.add(source, { ...build.bindings, ...bindings }, [groups, 1]);
}

/** Appends the counts of rows since each latent was active, and which are dead. Before second lists are made. */
export function addDead(build: StepBuild): void {
  const { program, model, config, bindings, code } = build;
  const counting = new Uint32Array([model.hidden, bitmapWords(build), padded(code.columns) / 4]);
  const dead = { files: ['metrics/step.wgsl', 'sparse/dead.wgsl'] };
  const { counted = true, active_above = 0 } = auxkLossOf(config) ?? {};
  const constants = { dead_after: config.dead_after, counted: counted ? 1 : 0, active_above };
  program.add({ ...dead, constants }, { ...bindings, counting, code }, byThreads(build, model.hidden));
}

/** Appends the second lists of the rows, of dead latents. */
export function addAuxLists(build: StepBuild): void {
  const signed = keepsSigns(build.config);
  const code = signed ? build.tensor('pre_activations') : build.code;
  const values = signed ? 'sparse/signed.wgsl' : 'sparse/not_negative.wgsl';
  const place = { most: auxEntries(build), firstList: listRows(build), firstEntry: mostEntries(build) };
  const step = build.buffer('update');
  addSelection(build, [values, 'sparse/dead_latents.wgsl'], { code, step }, place);
  addUnscaled(build, place.firstList);
}

/** Appends what divides the values in the rows' lists, which begin there, by norms by which they were multiplied. */
function addUnscaled(build: StepBuild, firstList: number): void {
  const { rows, model } = build;
  if (model.rescaling) {
    const unscaled = new Uint32Array([rows, firstList]);
    const own = { unscaled, decoder_norms: model.rescaling.norms };
    addByLines(build, { files: ['sparse/unscale.wgsl'] }, own, rows);
  }
}

/** Where lists lie, and how many entries a row may have. */
interface Place {
  readonly most: number;
  readonly firstList: number;
  readonly firstEntry: number;
}

/** Appends lists of the largest latents of each row. @param which the files that say which of them count. */
function addSelection(
  build: StepBuild,
  which: readonly string[],
  bindings: Bindings,
  { most, firstList, firstEntry }: Place,
): void {
  const { model, rows } = build;
  const blocks = padded(model.hidden) / 4;
  const shift = spanShift(blocks, most);
  const spans = Math.ceil(blocks / 2 ** shift);
  const words = bitmapWords(build);
  const selection = new Uint32Array([rows, blocks, spans, shift, most, words, firstList, firstEntry]);
  // Powers of two, so that nearly all sizes have one kernel.
  const constants = {
    capacity: powerOfTwo(Math.max(spans, leastKeys)),
    most_chosen: powerOfTwo(Math.max(Math.min(spans, most), leastChosen)),
  };
  addByLines(build, { files: [...which, 'sparse/select.wgsl'], constants }, { ...bindings, selection }, rows);
}

/** Appends the same for all latents, by the code's maxima. */
function addSelectionByMaxima(
  build: StepBuild,
  maxima: Maxima,
  { most, firstList, firstEntry }: Place,
): void {
  const { program, bindings, code, model, rows } = build;
  const selection = new Uint32Array([rows, most, bitmapWords(build), firstList, firstEntry]);
  const files = ['metrics/step.wgsl', 'sparse/lists.wgsl', 'sparse/maxima.wgsl', 'sparse/select_lanes.wgsl'];
  const constants = { most_chosen: mostChosen(build) };
  const groups = model.gpu.groups(Math.ceil(rows / selectionLanes));
  program.add({ files, constants }, { ...bindings, ...maxima, selection, code }, [groups, 1]);
}

/**
 * Log2 of the vec4s of a span: at least twice as many spans as latents are selected, unless a span is but a vec4, and no
 * more of them than are held.
 */
function spanShift(blocks: number, most: number): number {
  let shift = mostSpanShift;
  while (shift > 0 && blocks / 2 ** shift < 2 * most) {
    shift--;
  }
  while (Math.ceil(blocks / 2 ** shift) > mostSpans) {
    shift++;
  }
  return shift;
}

/** The least power of two that is at least `value`. */
function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}

/** Appends the lists by latents, from those by rows with their gradients. */
export function addLatentLists(build: StepBuild): void {
  const { program, model, rows, bindings } = build;
  const words = bitmapWords(build);
  const counting = new Uint32Array([model.hidden, words, listRows(build) / 32]);
  const own = { ...bindings, counting };
  program.add({ files: ['sparse/count.wgsl'] }, own, byThreads(build, model.hidden));
  program.add({ files: ['sparse/offsets.wgsl'] }, own, [1, 1]);
  const fill = { files: ['sparse/lists.wgsl', 'sparse/fill.wgsl'] };
  const lists = auxEntries(build) > 0 ? listRows(build) + rows : rows;
  const filling = new Uint32Array([lists, words]);
  program.add(fill, { ...bindings, filling }, [model.gpu.groups(lists), 1]);
}

/** Workgroups of 64 invocations that take one thing each. */
function byThreads({ model }: StepBuild, things: number): Workgroups {
  return [model.gpu.groups(Math.ceil(things / 64)), 1];
}
