import type { KernelSource } from '../../../gpu/kernel.js';
import type { Bindings, Workgroups } from '../../../gpu/program.js';
import { padded } from '../../../gpu/tensor.js';
import type { StepBuild } from '../build.js';

/** Bytes of `struct Entry` and of `struct LatentEntry` in `sparse/lists.wgsl`. */
export const entryBytes = 12;

/** Spans of a row, at most: so many maxima are held in workgroup memory. */
const mostSpans = 1024;
/** Log2 of the vec4s of a span, at most, unless there would be too many spans. */
const mostSpanShift = 3;
/** Keys that are held in workgroup memory, at least. */
const leastKeys = 512;
/** Spans that there is room for, at least. */
const leastChosen = 64;

/** Invocations of a workgroup where it is no subgroup. */
const workgroupSize = 64;
/** Lanes of `sparse/lanes_subgroup.wgsl`. */
const subgroupLanes = 8;

/** Entries of a row, at most. */
export function mostEntries({ model }: StepBuild): number {
  const { selection } = model.config;
  return selection && 'topk' in selection ? selection.topk : 0;
}

/** Words of a latent's bitmap of rows. */
function bitmapWords({ rows }: StepBuild): number {
  return Math.ceil(rows / 32);
}

/** Makes the lists of a code. */
export function allocateLists(build: StepBuild): void {
  const { rows, model } = build;
  const entries = rows * mostEntries(build);
  build.makeBuffer('row_lists', `The places of ${rows} lists`, rows * 8);
  build.makeBuffer('entries', `The lists of ${rows} rows`, entries * entryBytes);
  const bitmaps = Math.ceil((model.hidden * bitmapWords(build)) / 4) * 16;
  build.makeBuffer('bitmaps', `Bitmaps of ${rows} rows for ${model.hidden} latents`, bitmaps);
  build.makeBuffer('latent_counts', `The lengths of ${model.hidden} lists`, model.hidden * 4);
  build.makeBuffer('latent_offsets', `The places of ${model.hidden} lists`, (model.hidden + 1) * 4);
  build.makeBuffer('latent_entries', `The lists of ${model.hidden} latents`, entries * entryBytes);
}

/** Appends a kernel whose workgroups take a row or a latent each. */
export function addByLines(build: StepBuild, source: KernelSource, bindings: Bindings, lines: number): void {
  const { gpu } = build.model;
  const inSubgroup = gpu.software && gpu.subgroupSize === subgroupLanes;
  const lanes = inSubgroup
    ? ['gemm/enable_subgroups.wgsl', 'sparse/lanes_subgroup.wgsl']
    : ['sparse/lanes_workgroup.wgsl'];
  const constants = { ...source.constants, ...(!inSubgroup && { workgroup_size: workgroupSize }) };
  const files = [...lanes, 'metrics/step.wgsl', 'sparse/lists.wgsl', ...(source.files ?? [])];
  build.program.add({ files, constants }, { ...build.bindings, ...bindings }, [gpu.groups(lines), 1]);
}

/** Appends the selection of latents in the code, by rows. */
export function addRowLists(build: StepBuild): void {
  const { model, rows, code, program } = build;
  const bitmaps = build.buffer('bitmaps');
  program.add({ files: ['sparse/clear.wgsl'] }, { bitmaps }, byThreads(build, bitmaps.size / 16));

  const most = mostEntries(build);
  const blocks = padded(model.hidden) / 4;
  const shift = spanShift(blocks, most);
  const spans = Math.ceil(blocks / 2 ** shift);
  const selection = new Uint32Array([rows, blocks, spans, shift, most, bitmapWords(build)]);
  // Powers of two, so that nearly all sizes have one kernel.
  const constants = {
    capacity: powerOfTwo(Math.max(spans, leastKeys)),
    most_chosen: powerOfTwo(Math.max(Math.min(spans, most), leastChosen)),
  };
  addByLines(build, { files: ['sparse/select.wgsl'], constants }, { selection, code }, rows);
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
  const counting = new Uint32Array([model.hidden, words]);
  const own = { ...bindings, counting };
  program.add({ files: ['sparse/count.wgsl'] }, own, byThreads(build, model.hidden));
  program.add({ files: ['sparse/offsets.wgsl'] }, own, [1, 1]);
  const fill = { files: ['sparse/lists.wgsl', 'sparse/fill.wgsl'] };
  const filling = new Uint32Array([rows, words]);
  program.add(fill, { ...bindings, filling }, [model.gpu.groups(rows), 1]);
}

/** Workgroups of 64 invocations that take one thing each. */
function byThreads({ model }: StepBuild, things: number): Workgroups {
  return [model.gpu.groups(Math.ceil(things / 64)), 1];
}
