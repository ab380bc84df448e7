import type { Gpu } from '../../gpu/gpu.js';
import { grouped } from '../../sae/rows/formats/array.js';
import { type Rows, rowSource } from '../../sae/rows/source.js';
import { rowBytesOf } from '../../sae/rows/window.js';
import { type Placement, windowRows } from '../../sae/training/placement.js';

/** Of the memory that is free, rows take up to this share. */
const share = 1 / 4;
/** WebGPU does not tell how much memory a GPU has: rows of up to so many bytes stay on it. */
const mostOnGpu = 2 * 2 ** 30;
/** Rows that are more than that go through windows of so many bytes in all, or an eighth of the free memory if that is less. */
const usualWindow = 2 ** 30;

/** The same for rows that come from another program. */
const pipedWindow = 128 * 2 ** 20;

/** Bytes of rows that are kept in memory. @param window what the user allows for rows on the device, if anything. */
export function mostInMemory(window?: number): number {
  return window ?? process.availableMemory() * share;
}

/**
 * Where rows are to be on a device: all of them, if they take no more than `window` bytes or, by default, a quarter of the
 * free memory and on a GPU 2 GiB; else in two windows of as many bytes together.
 */
export function placementOf(rows: Rows, gpu: Gpu, window?: number): Placement {
  const free = process.availableMemory();
  const most = window ?? Math.min(free * share, gpu.software ? Number.POSITIVE_INFINITY : mostOnGpu);
  const rowBytes = rowBytesOf(rowSource(rows));
  const once = 'read' in rows && rows.once;
  // The first step does not wait for rows that another program has yet to make.
  if (!once && rows.rows * rowBytes <= most) return {};
  const both = window ?? Math.min(once ? pipedWindow : usualWindow, free / 8);
  return { window_rows: Math.max(1, Math.floor(both / 2 / rowBytes)) };
}

/**
 * The window of a sweep's rows, whose order depends on it: the same on every machine. All rows are on the device if they take no more than
 * `window` bytes or, by default, 2 GiB.
 */
export function sweepWindow(rows: Rows, window?: number): Placement {
  const rowBytes = rowBytesOf(rowSource(rows));
  if (rows.rows * rowBytes <= (window ?? mostOnGpu)) return {};
  return { window_rows: Math.max(1, Math.floor((window ?? usualWindow) / 2 / rowBytes)) };
}

/** What a line about rows ends with if they go through windows. */
export function windowsInWords(rows: Rows, placement: Placement, batch_size: number): string {
  const window_rows = windowRows(placement, batch_size);
  if (window_rows === undefined || window_rows >= rows.rows) return '';
  const bytes = window_rows * rowBytesOf(rowSource(rows));
  const size =
    bytes < 1e6 ? `${grouped(Math.ceil(bytes / 1e3))} kB` : `${grouped(Math.round(bytes / 1e6))} MB`;
  return `, through two windows of ${grouped(window_rows)} rows (${size} each)`;
}
