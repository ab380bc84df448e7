import { readFile } from 'node:fs/promises';
import { EngineError } from '../../gpu/errors.js';
import { packReport, type Report, reportSignature } from '../../sae/insight/report/pack.js';
import type { EncodeImage } from '../../sae/insight/report/pictures.js';
import { checkFile } from '../folder.js';
import { loadSharp } from '../pictures/fonts.js';
import { writeWhole } from '../write-file.js';

/** The viewer, built from src/report; it lies in dist, whether this runs from there or from src. */
const viewer = new URL('../../../dist/report/template.html', import.meta.url);

export const reportImageType = 'image/webp';

/** Encodes pixels as WebP, small rather than exact. @throws EngineError if sharp cannot be loaded. */
export const encodeImage: EncodeImage = async (pixels, width, height, channels) => {
  const sharp = await loadSharp();
  return new Uint8Array(
    await sharp(pixels, { raw: { width, height, channels } }).webp({ quality: 75 }).toBuffer(),
  );
};

/** Checks before the work that a report can be written. @throws EngineError. */
export async function prepareReport(file: string): Promise<void> {
  await template();
  await checkFile(file, isOurReport);
}

/** Writes a report as one HTML file. @throws EngineError if it cannot be written. */
export async function writeReport(file: string, report: Report): Promise<void> {
  const html = packReport(await template(), report);
  async function* parts() {
    for await (const part of html) yield Buffer.from(part);
  }
  await writeWhole(file, parts(), (why, cause) => {
    return new EngineError(`The report ${file} cannot be written: ${why}.`, { cause });
  });
}

/** Whether this program wrote a report that begins so. */
export function isOurReport(content: Uint8Array): boolean {
  return new TextDecoder().decode(content.subarray(0, 4096)).includes(reportSignature);
}

async function template(): Promise<string> {
  try {
    return await readFile(viewer, 'utf8');
  } catch (error) {
    throw new EngineError(
      'The viewer of reports, dist/report/template.html, is missing: this copy of webgpu-sae is not complete. Build it with npm run build.',
      { cause: error },
    );
  }
}
