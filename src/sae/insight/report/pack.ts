import {
  type ArrayPlace,
  factsBlock,
  labelsBlock,
  modelBlock,
  type ReportFacts,
  rowsBlock,
  sheetsBlock,
} from './layout.js';

/** An array with its name and shape. */
export interface NamedArray extends ArrayPlace {
  readonly values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;
}

/** A report before it is made into a file. */
export interface Report {
  readonly facts: ReportFacts;
  /** Arrays of the rows, and of each model. */
  readonly rows: readonly NamedArray[];
  readonly models: readonly (readonly NamedArray[])[];
  /** Labels of the rows that are examples, if they have some. */
  readonly labels?: readonly string[];
  /** Pictures in the order in which the facts name them, each filled up to a multiple of 3 bytes. */
  readonly sheets: readonly Uint8Array<ArrayBuffer>[];
}

/** By it, a report of this program is told from another file: it is in the first 4,096 characters. */
export const reportSignature = '<meta name="generator" content="webgpu-sae"';

/** Where the viewer's HTML takes the data, and its title. */
const dataPlace = '<!--report-->';
const titlePlace = '<!--title-->';

/**
 * Makes a report into the parts of an HTML file, one after another.
 * @param template the viewer, an HTML file with `<!--title-->` and `<!--report-->` in it.
 */
export async function* packReport(template: string, report: Report): AsyncGenerator<string, void, void> {
  const { facts, rows, models, labels, sheets } = report;
  const at = template.indexOf(dataPlace);
  yield template.slice(0, at).replace(titlePlace, () => escaped(facts.title));
  // A script's text ends at "</script", wherever that comes from.
  yield `<script type="application/json" id="${factsBlock}">${JSON.stringify(facts).replaceAll('<', '\\u003c')}</script>\n`;
  yield await gzippedBlock(rowsBlock, joined(rows));
  for (const [i, arrays] of models.entries()) yield await gzippedBlock(modelBlock(i), joined(arrays));
  if (labels) yield await gzippedBlock(labelsBlock, new TextEncoder().encode(JSON.stringify(labels)));
  yield opening(sheetsBlock);
  for (const sheet of sheets) yield base64(sheet);
  yield closing;
  yield template.slice(at + dataPlace.length);
}

const opening = (id: string) => `<script type="application/octet-stream" id="${id}">`;
const closing = '</script>\n';

async function gzippedBlock(id: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'));
  return `${opening(id)}${base64(new Uint8Array(await new Response(stream).arrayBuffer()))}${closing}`;
}

/** Arrays one after another, each filled up to a multiple of 4 bytes. */
function joined(arrays: readonly NamedArray[]): Uint8Array<ArrayBuffer> {
  const room = (bytes: number) => Math.ceil(bytes / 4) * 4;
  const all = new Uint8Array(arrays.reduce((sum, { values }) => sum + room(values.byteLength), 0));
  let at = 0;
  for (const { values } of arrays) {
    all.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += room(values.byteLength);
  }
  return all;
}

/** Bytes that are made into a string at a time: a multiple of 3, and few enough to be arguments of a call. */
const bytesAtATime = 3 * 2 ** 12;

function base64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let first = 0; first < bytes.length; first += bytesAtATime) {
    parts.push(btoa(String.fromCharCode(...bytes.subarray(first, first + bytesAtATime))));
  }
  return parts.join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
