import {
  type Model,
  type Rows,
  spreadLatents,
  topRows,
  topRowsInFile,
  writeLatentsFile,
} from '../node/index.js';
import type { Reporter } from './reporter.js';

/** Latents that are printed. */
const shownLatents = 10;
/** Characters of a label that is printed, at most. */
const longestLabel = 24;

/**
 * Writes, for every latent, the labels of the rows that excite it most, and prints those of some latents.
 * @param labels of the rows.
 * @param file where they go.
 * @throws EngineError if it cannot be written; NonFiniteError.
 */
export async function reportLatents(
  model: Model,
  dataset: Rows,
  labels: readonly string[],
  file: string,
  reporter: Reporter,
): Promise<void> {
  const label = 'latents';
  reporter.startBar(dataset.rows, label);
  const progress = (rows: number) => reporter.updateBar(rows, label, '');
  const latents = await topRows(model, dataset, { top: topRowsInFile, progress }).finally(() => {
    reporter.stopBar();
  });
  await writeLatentsFile(file, latents, labels);
  reporter.json({ latents: file });
  reporter.line(`latents   ${file}`);
  const some = spreadLatents(latents, shownLatents);
  if (some.length === 0) {
    reporter.line('  All latents are dead or dense, so none is shown.');
    return;
  }
  reporter.line('  latent   active  labels of the rows that excite it most');
  const columns = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  for (const latent of some) {
    const { density, exciting } = latents[latent];
    const head = `  ${String(latent + 1).padStart(6)}  ${percent(density).padStart(7)}  `;
    const words = exciting.map(({ row }) => printable(labels[row]));
    for (const line of wrapped(head, words, columns)) {
      reporter.line(line);
    }
  }
}

function percent(share: number): string {
  return `${(100 * share).toPrecision(2)}%`;
}

/** Words after a head, in as many lines as a terminal of so many columns needs. */
function wrapped(head: string, words: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of words) {
    const longer = line === '' ? word : `${line}  ${word}`;
    if (line !== '' && head.length + longer.length > columns) {
      lines.push(line);
      line = word;
    } else {
      line = longer;
    }
  }
  return [...lines, line].map((text, i) => (i === 0 ? head : ' '.repeat(head.length)) + text);
}

/** A label as a line of a terminal can show it: short, and without signs that would act on the terminal. */
export function printable(label: string): string {
  // Each character is one or two code units.
  const characters = [...label.slice(0, 2 * longestLabel + 2)];
  const short =
    characters.length > longestLabel ? `${characters.slice(0, longestLabel - 1).join('')}…` : label;
  return short.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}]/gu, (sign) => {
    return `\\u{${sign.codePointAt(0)?.toString(16)}}`;
  });
}
