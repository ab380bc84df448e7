import type { KernelSource } from './kernel.js';
import type { Bindings, Program } from './program.js';

/** What a kernel does for its lines: see `sparse/lines.wgsl`. */
export interface LineWork {
  readonly count: number;
  /** Operations that a line takes. */
  readonly each: number;
  /** What it does for the entries of the lines' lists, if anything: the place of the first and how many there are, and operations for one. */
  readonly entries?: { readonly first: number; readonly count: number; readonly each: number };
}

/**
 * Appends a kernel that takes lines, in as many dispatches as it takes for none to be too much work.
 * @param groups workgroups for so many lines.
 */
export function addLines(
  program: Program,
  source: KernelSource,
  bindings: Bindings,
  { count, each, entries = { first: 0, count: 0, each: 0 } }: LineWork,
  groups: (lines: number) => number,
): void {
  const { mostWork: most } = program.gpu;
  const ofEntries = entries.count * entries.each;
  const whole = count * each + ofEntries <= most;
  // Half of a dispatch's work is for entries, and half for lines.
  const parts = whole ? 1 : Math.max(1, Math.ceil((2 * ofEntries) / most));
  const lines = whole ? count : Math.max(1, Math.floor((ofEntries > 0 ? most / 2 : most) / each));
  const share = Math.floor(entries.count / parts) + 1;
  for (let part = 0; part < parts; part++) {
    const first_entry = part === 0 ? 0 : entries.first + part * share;
    const end_entry = part === parts - 1 ? 0xffffffff : entries.first + (part + 1) * share;
    for (let first = 0; first < count; first += lines) {
      const end = Math.min(first + lines, count);
      const own = { lines: new Uint32Array([first, end, first_entry, end_entry]) };
      const work = (end - first) * each + Math.min(share, entries.count) * entries.each;
      program.add(source, { ...bindings, ...own }, [groups(end - first), 1], work);
    }
  }
}
