import type { Device } from '../../../gpu/device.js';
import type { KernelSource } from '../../../gpu/kernel.js';
import { addLines, type LineWork } from '../../../gpu/lines.js';
import type { Bindings, Workgroups } from '../../../gpu/program.js';
import { padded } from '../../../gpu/tensor.js';
import { byteWork } from '../../../gpu/work.js';
import { grouped } from '../../rows/formats/array.js';
import { addBatchCut, allocateBatchCut, batchCutFiles } from '../batchtopk.js';
import type { StepBuild } from '../build.js';
import { addBlockStep, blockCount, blockRows, type RowBlock } from '../row-blocks.js';
import { auxkLossOf, keepsSigns, listOptions, mostLatents } from './choice.js';
import { type Maxima, maximaFiles, mostChosen, selectionLanes } from './maxima.js';

/** The files that make keys of values above 0. */
const notNegative = ['sparse/relu_bits.wgsl', 'sparse/not_negative.wgsl'];

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

/** How often `sparse/select.wgsl` reads a code, at most: to find the bounds, the limit bit by bit where too many values reach them, and the entries. */
const selectionReads = 20;

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

/** Whether latents are selected of a whole batch, which is taken in blocks: from those that each block by itself would select. */
function mergesBlocks(build: StepBuild): boolean {
  return build.config.sparsity !== 'topk' && blockCount(build) > 1;
}

/** Entries of a block that latents of the batch are selected from, at most: whole vec4s. */
function blockEntries(build: StepBuild): number {
  return padded(Math.min(mostEntries(build), blockRows(build) * build.model.hidden));
}

/** Entries that there is room for, before those of dead latents. */
export function rowEntries(build: StepBuild): number {
  return mergesBlocks(build) ? blockCount(build) * blockEntries(build) : mostEntries(build);
}

/**
 * Dead latents of a row in AuxK, of which a model may have fewer. Half of in_dims, as in the libraries, is much where rows have many values:
 * on digits four times k left no latent dead, with better reconstructions in less time.
 */
export function auxkOf({ config, model }: Pick<StepBuild, 'config' | 'model'>): number {
  const { auxk_k, k = 1 } = listOptions(config);
  return auxk_k ?? Math.max(1, Math.min(Math.ceil(4 * k), Math.floor(model.config.in_dims / 2)));
}

/** Dead latents of a row in AuxK, at most; 0 without it. */
export function auxEntries(build: Pick<StepBuild, 'config' | 'model'>): number {
  return auxkLossOf(build.config) ? Math.min(auxkOf(build), build.model.hidden) : 0;
}

/** Entries of all lists, second ones included, at most. */
export function allEntries(build: StepBuild): number {
  return rowEntries(build) + build.rows * auxEntries(build);
}

/** Operations of a kernel that reads and stores each entry of a row's list once, for a row. */
function entriesWork(build: StepBuild): number {
  return Math.ceil(allEntries(build) / build.rows) * 2 * entryBytes * byteWork;
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
  const aux = rows * auxEntries(build);
  build.makeBuffer('row_lists', `The places of ${lists} lists`, lists * 8);
  // Vec4s, as entries are, that can be copied to images.
  const makeEntries = (name: string, most: number, label: string) =>
    build.makeTensor(name, [padded(most), entryBytes / 4], label);
  const entries = rowEntries(build) + aux;
  const blocks = mergesBlocks(build) ? ` in blocks of ${blockRows(build)}` : '';
  makeEntries('entries', entries, `A list of up to ${grouped(entries)} latents of ${rows} rows${blocks}`);
  const bitmaps = Math.ceil((model.hidden * bitmapWords(build)) / 4) * 16;
  build.makeBuffer('bitmaps', `Bitmaps of ${rows} rows for ${model.hidden} latents`, bitmaps);
  build.makeBuffer('latent_counts', `The lengths of ${model.hidden} lists`, model.hidden * 4);
  build.makeBuffer('latent_offsets', `The places of ${model.hidden} lists`, (model.hidden + 1) * 4);
  makeEntries('latent_entries', mostEntries(build) + aux, `The lists of ${model.hidden} latents`);
  if (build.config.sparsity !== 'topk') {
    allocateBatchCut(build);
    build.makeBuffer('row_counts', `The lengths of ${rows} lists`, rows * 4);
    build.makeBuffer('row_offsets', `The places of ${rows} lists`, (rows + 1) * 4);
  }
  if (mergesBlocks(build)) {
    const survivors = [rowEntries(build)];
    build.makeTensor('survivors', survivors, `What blocks of ${blockRows(build)} rows select [${survivors}]`);
  }
  if (marksActive(build)) {
    build.makeBuffer('marks', 'Which latents are active', padded(model.hidden) * 4);
  }
}

/** Whether a workgroup is one subgroup: on Mesa's software adapter. */
export function inSubgroups(gpu: Device): boolean {
  return gpu.software && gpu.subgroupSize === subgroupLanes;
}

/** Appends a kernel whose workgroups take a row or a latent each. */
export function addByLines(build: StepBuild, source: KernelSource, bindings: Bindings, work: LineWork): void {
  const { gpu } = build.model;
  const inSubgroup = inSubgroups(gpu);
  const lanes = inSubgroup ? 'sparse/lanes_subgroup.wgsl' : 'sparse/lanes_workgroup.wgsl';
  const constants = { ...source.constants, ...(!inSubgroup && { workgroup_size: workgroupSize }) };
  const files = [
    lanes,
    'metrics/step.wgsl',
    'sparse/lists.wgsl',
    'sparse/lines.wgsl',
    ...(source.files ?? []),
  ];
  const all = { ...build.bindings, ...bindings };
  addLines(build.program, { files, constants }, all, work, (lines) => groupsOfLines(gpu, lines));
}

/** Workgroups that take a line each or, on a software adapter, several: to start one takes as long as a short line. */
function groupsOfLines(gpu: Device, lines: number): number {
  const most = gpu.software ? Math.max(enoughGroups, Math.ceil(lines / linesAGroup)) : lines;
  return gpu.groups(Math.min(lines, most));
}

/** Appends what clears the bitmaps, before rows are listed. */
export function addClear(build: StepBuild): void {
  const bitmaps = build.buffer('bitmaps');
  build.program.add({ files: ['sparse/clear.wgsl'] }, { bitmaps }, byThreads(build, bitmaps.size / 16));
}

/**
 * Appends the selection of latents in the code of a block of rows, and their lists.
 * @param maxima those of a whole batch's code, if they are known: see `maxima.ts`.
 */
export function addRowLists(build: StepBuild, block: RowBlock, maxima?: Maxima): void {
  const { config, model } = build;
  if (config.sparsity !== 'topk') {
    addKept(build, block, maxima);
    return;
  }
  const { first, rows, step } = block;
  const most = mostLatents(model.config, config)!;
  const place = { most, firstList: first, firstEntry: first * most };
  if (maxima) {
    addSelectionByMaxima(build, maxima, place);
  } else {
    addSelection(build, [...notNegative, 'sparse/all_latents.wgsl'], step, place, rows);
  }
}

/** Appends the lists of the latents of a block of rows that its own cut lets stay, which is the batch's if there is but one. */
function addKept(build: StepBuild, { first, rows, step }: RowBlock, maxima: Maxima | undefined): void {
  const { program, model, code } = build;
  const merges = mergesBlocks(build);
  const bindings = { ...build.bindings, step };
  addBatchCut({ program, bindings, code, model }, { follows: !merges, maxima });
  const firstEntry = (first / blockRows(build)) * blockEntries(build);
  const place = [padded(code.columns) / 4, bitmapWords(build), first, firstEntry];
  const kept = new Uint32Array(maxima ? [rows, ...place] : place);
  const list = maxima ? addKeptByMaxima : addKeptByLines;
  list(build, { ...maxima, kept, code, step }, rows, false);
  const offsets = {
    counting: new Uint32Array([rows, 0]),
    latent_counts: build.buffer('row_counts'),
    latent_offsets: build.buffer('row_offsets'),
  };
  program.add({ files: ['sparse/offsets.wgsl'] }, offsets, [1, 1]);
  list(build, { ...maxima, kept, code, step }, rows, true);
  if (merges) {
    const most = blockEntries(build);
    const surviving = new Uint32Array([firstEntry, most, rows]);
    const survivors = { files: ['sparse/lists.wgsl', 'sparse/survivors.wgsl'] };
    program.add(survivors, { ...bindings, surviving }, byThreads(build, most));
  }
}

/** Appends the lengths or, after their places are known, the lists of what stays of each row. */
function addKeptByLines(build: StepBuild, bindings: Bindings, rows: number, listing: boolean): void {
  const own = listing ? 'sparse/kept_lists.wgsl' : 'sparse/kept_counts.wgsl';
  // To list them, the code is read twice.
  const each = 2 * padded(build.model.hidden) * 4 * byteWork;
  addByLines(build, { files: [...batchCutFiles, 'sparse/kept.wgsl', own] }, bindings, { count: rows, each });
}

/** Appends the same by the code's maxima. */
function addKeptByMaxima(build: StepBuild, bindings: Bindings, rows: number, listing: boolean): void {
  const head = ['metrics/step.wgsl', 'sparse/lists.wgsl', 'sparse/maxima.wgsl', ...batchCutFiles];
  const source = { files: [...head, 'sparse/kept_lanes.wgsl'], constants: { listing: listing ? 1 : 0 } };
  const groups = build.model.gpu.groups(Math.ceil(rows / selectionLanes));
  build.program.add(source, { ...build.bindings, ...bindings }, [groups, 1]);
}

/** Appends what ends the lists of all rows: once the last block is listed. */
export function endRowLists(build: StepBuild): void {
  if (mergesBlocks(build)) {
    addMerging(build);
  }
  if (marksActive(build)) {
    addActive(build);
  }
  addUnscaled(build, 0);
}

/** Appends the selection among what the blocks selected: of a code of one row. The largest of a batch are among the largest of each block. */
function addMerging(build: StepBuild): void {
  const { program, model, rows } = build;
  addBlockStep(build, [0, 1], build.buffer('step'));
  const bindings = { ...build.bindings, step: build.buffer('block_step') };
  addBatchCut({ program, bindings, code: build.tensor('survivors'), model });
  const files = ['sparse/lists.wgsl', ...batchCutFiles, 'sparse/kept_survivors.wgsl'];
  const kept = new Uint32Array([rows, bitmapWords(build)]);
  program.add({ files }, { ...bindings, kept }, byThreads(build, rows));
}

/** Whether it takes more than being in a list for a latent to count as active. */
function marksActive({ config }: Pick<StepBuild, 'config'>): boolean {
  return (auxkLossOf(config)?.active_above ?? 0) > 0;
}

/** Appends the marks of latents that are active in some row, by their values as they were selected. */
function addActive(build: StepBuild): void {
  const { program, config, rows } = build;
  const marks = build.buffer('marks');
  program.add({ files: ['sparse/clear.wgsl'] }, { bitmaps: marks }, byThreads(build, marks.size / 16));
  const { active_above } = auxkLossOf(config)!;
  const source = { files: ['sparse/mark_active.wgsl'], constants: { active_above } };
  addByLines(build, source, {}, { count: rows, each: entriesWork(build) });
}

/** Appends the counts of rows since each latent was active, and which are dead. Before second lists are made. */
export function addDead(build: StepBuild): void {
  const { program, model, config, bindings } = build;
  const counting = new Uint32Array([model.hidden, bitmapWords(build)]);
  const active = marksActive(build) ? 'sparse/active_marks.wgsl' : 'sparse/active_bits.wgsl';
  const { counted = true } = auxkLossOf(config) ?? {};
  const constants = { dead_after: build.deadAfter, counted: counted ? 1 : 0 };
  const dead = { files: ['metrics/step.wgsl', active, 'sparse/dead.wgsl'], constants };
  program.add(dead, { ...bindings, counting }, byThreads(build, model.hidden));
}

/** Appends the second lists of a block of rows, of dead latents. */
export function addAuxLists(build: StepBuild, { first, rows, step }: RowBlock): void {
  const values = keepsSigns(build.config) ? ['sparse/signed.wgsl'] : notNegative;
  const most = auxEntries(build);
  const place = { most, firstList: listRows(build) + first, firstEntry: rowEntries(build) + first * most };
  addSelection(build, [...values, 'sparse/dead_latents.wgsl'], step, place, rows);
}

/** Appends what divides the values in the rows' lists, which begin there, by norms by which they were multiplied. */
export function addUnscaled(build: StepBuild, firstList: number): void {
  const { rows, model } = build;
  if (model.rescaling) {
    const unscaled = new Uint32Array([firstList]);
    const own = { unscaled, decoder_norms: model.rescaling.norms };
    addByLines(build, { files: ['sparse/unscale.wgsl'] }, own, { count: rows, each: entriesWork(build) });
  }
}

/** Where lists lie, and how many entries a row may have. */
interface Place {
  readonly most: number;
  readonly firstList: number;
  readonly firstEntry: number;
}

/** Appends lists of the largest latents of each of some rows. @param which the files that say which of them count. */
function addSelection(
  build: StepBuild,
  which: readonly string[],
  step: GPUBuffer,
  { most, firstList, firstEntry }: Place,
  rows: number,
): void {
  const { model } = build;
  const blocks = padded(model.hidden) / 4;
  const shift = spanShift(blocks, most);
  const spans = Math.ceil(blocks / 2 ** shift);
  const words = bitmapWords(build);
  const selection = new Uint32Array([blocks, spans, shift, most, words, firstList, firstEntry]);
  // Powers of two, so that nearly all sizes have one kernel.
  const constants = {
    capacity: powerOfTwo(Math.max(spans, leastKeys)),
    most_chosen: powerOfTwo(Math.max(Math.min(spans, most), leastChosen)),
  };
  const source = { files: [...which, 'sparse/select.wgsl'], constants };
  const each = selectionReads * padded(model.hidden) * 4 * byteWork;
  addByLines(build, source, { code: build.code, step, selection }, { count: rows, each });
}

/** Appends the same for all latents, by the code's maxima. */
function addSelectionByMaxima(
  build: StepBuild,
  maxima: Maxima,
  { most, firstList, firstEntry }: Place,
): void {
  const { program, bindings, code, model, rows } = build;
  const selection = new Uint32Array([rows, most, bitmapWords(build), firstList, firstEntry]);
  const files = ['metrics/step.wgsl', 'sparse/lists.wgsl', ...maximaFiles, 'sparse/select_lanes.wgsl'];
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
  const fill = { files: ['sparse/lists.wgsl', 'sparse/lines.wgsl', 'sparse/fill.wgsl'] };
  const count = auxEntries(build) > 0 ? listRows(build) + rows : rows;
  const filling = new Uint32Array([words]);
  // An entry's place is found from the bitmap's words before its own.
  const entries = { first: 0, count: allEntries(build), each: (2 * entryBytes + 2 * words) * byteWork };
  const work = { count, each: 8 * byteWork, entries };
  addLines(program, fill, { ...bindings, filling }, work, (lists) => model.gpu.groups(lists));
}

/** Workgroups of 64 invocations that take one thing each. */
function byThreads({ model }: StepBuild, things: number): Workgroups {
  return [model.gpu.groups(Math.ceil(things / 64)), 1];
}
