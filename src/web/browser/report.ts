import template from '../../../dist/report/template.html?url';
import {
  type EncodeImage,
  evenRows,
  modelFacts,
  packReport,
  type ReportData,
  type ReportSubject,
  report,
  trainingCharts,
} from '../../sae/index.js';
import { blocksWanted } from '../../sae/insight/report/layout.js';
import type { Run } from '../session/run.js';
import type { Session } from '../session/session.js';

/** Rows of a report, at most: on a software adapter, 10,000 rows of digits take seconds. */
const mostRows = 16_384;

/**
 * Makes a report of the current model, as `sae report` does.
 * @param progress is called with what is done.
 * @throws EngineError; TypeError if the viewer cannot be fetched.
 */
export async function reportOf(
  { model, trainer, dataset }: Run,
  { history, done, sparsity }: Session,
  progress: (what: string) => void,
): Promise<Blob> {
  const viewer = await fetch(template);
  if (!viewer.ok) throw new TypeError(`the viewer of reports was answered with ${viewer.status}`);
  const { all: _, ...rows } = dataset;
  const { gpu, config, parameterCount } = model;
  const subject: ReportSubject = {
    name: 'this model',
    model,
    rows: evenRows(rows, mostRows),
    kind: sparsity,
    facts: [
      ...modelFacts(config, parameterCount, trainer.config),
      ['trained on', `${dataset.name}, ${done.toLocaleString('en')} steps`],
      ['adapter', gpu.name],
      ['program', navigator.userAgent],
    ],
    charts: trainingCharts(history.points, trainer.config),
  };
  const made = await report([subject], {
    title: `What a model of ${dataset.name} learned`,
    created: new Date().toISOString(),
    program: 'webgpu-sae, in a browser',
    encodeImage,
    imageType: await typeOfImages(),
    progress,
  });
  const parts: string[] = [];
  for await (const part of packReport(await viewer.text(), made)) parts.push(part);
  return new Blob(parts, { type: 'text/html' });
}

const wanted = { type: 'image/webp', quality: 0.75 };

/** Browsers that do not write WebP write PNG instead. */
async function typeOfImages(): Promise<string> {
  const canvas = new OffscreenCanvas(1, 1);
  canvas.getContext('2d');
  return (await canvas.convertToBlob(wanted)).type;
}

const encodeImage: EncodeImage = async (pixels, width, height, channels) => {
  const canvas = new OffscreenCanvas(width, height);
  const colours = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) {
    for (let channel = 0; channel < 3; channel++) {
      colours[4 * i + channel] = pixels[i * channels + Math.min(channel, channels - 1)];
    }
  }
  canvas.getContext('2d')!.putImageData(new ImageData(colours, width, height), 0, 0);
  const blob = await canvas.convertToBlob(wanted);
  return new Uint8Array(await blob.arrayBuffer());
};

/** The blocks of reports by the tabs that show them. */
const shown = new Map<unknown, ReportData['blocks']>();

/**
 * Shows a report that was opened in a tab of the viewer: the page's own, which takes nothing of the file but these data.
 * @throws Error if the browser opens no tab.
 */
export function showReport({ blocks }: ReportData): void {
  const tab = open(template);
  if (!tab)
    throw new Error(
      'The browser has not opened a tab for it. Allow this page to do so, and open the report again.',
    );
  shown.set(tab, blocks);
}

// A tab asks when it opens, and when it is loaded anew.
addEventListener('message', ({ source, origin, data }) => {
  if (origin !== location.origin || data !== blocksWanted) return;
  (source as Window).postMessage(shown.get(source), origin);
});
