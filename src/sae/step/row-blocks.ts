import { padded, tensorBytes } from '../../gpu/tensor.js';
import type { StepBuild } from './build.js';
import { takesLists } from './sparse/choice.js';

/** Rows of a batch whose code is on the device at a time, by their places in the batch. */
export interface RowBlock {
  readonly first: number;
  readonly rows: number;
  /** The record of a step with these rows alone. */
  readonly step: GPUBuffer;
}

/** What says how a batch is taken. */
type Batch = Pick<StepBuild, 'model' | 'config' | 'rows'>;

/**
 * Rows whose code is made at a time: all if it fits into a buffer, or if there may be a penalty on its means over the batch, which need
 * all; else as many as make blocks of about equal size that do.
 */
export function blockRows({ model, config, rows }: Batch): number {
  const { gpu, hidden } = model;
  if (tensorBytes([rows, hidden]) <= gpu.largestBuffer || !takesLists(model.config, config)) {
    return rows;
  }
  // Products are made of blocks of four rows: at least one.
  const most = 4 * Math.max(1, Math.floor(gpu.largestBuffer / tensorBytes([4, hidden])));
  return padded(Math.ceil(rows / Math.ceil(rows / most)));
}

/** How many blocks of rows there are. */
export function blockCount(build: Batch): number {
  return Math.ceil(build.rows / blockRows(build));
}

/** Makes what a step that takes its batch in blocks needs besides. */
export function allocateBlocks(build: StepBuild): void {
  if (blockCount(build) > 1) {
    const block = [blockRows(build), build.model.config.in_dims];
    build.makeBuffer('block_step', "A block's record", 32, GPUBufferUsage.UNIFORM);
    build.makeTensor('block_batch', block, `A block of a batch's rows [${block}]`);
  }
}

/** Appends the record of a step with some of the batch's rows alone, in the buffer that all blocks share. @param step the batch's. */
export function addBlockStep(
  { program, bindings }: StepBuild,
  block: readonly [first: number, rows: number],
  step: GPUBuffer,
): void {
  const files = ['metrics/step.wgsl', 'metrics/block.wgsl'];
  program.add({ files }, { ...bindings, step, block: new Uint32Array(block) }, [1, 1]);
}

/** Appends, block by block, what `add` appends for each. @param step the batch's record. */
export async function addBlocks(
  build: StepBuild,
  step: GPUBuffer,
  add: (block: RowBlock) => Promise<void>,
): Promise<void> {
  const most = blockRows(build);
  if (most === build.rows) {
    return add({ first: 0, rows: most, step });
  }
  for (let first = 0; first < build.rows; first += most) {
    const rows = Math.min(most, build.rows - first);
    addBlockStep(build, [first, rows], step);
    await add({ first, rows, step: build.buffer('block_step') });
  }
}
