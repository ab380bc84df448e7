import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { digitsFile, filesIn, hangs, main, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
// util-linux's; that of the BSDs has other options.
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux');

/** What a terminal received, and what stands on it in the end. */
interface Capture {
  readonly status: number | null;
  readonly text: string;
  readonly screen: string[];
  readonly cursorShown: boolean;
}

/** Runs `sae` on a terminal of some columns; where its output first matches, types Ctrl-C. */
async function onTerminal(
  columns: number,
  args: readonly string[],
  cwd: string,
  interruptAt?: RegExp,
): Promise<Capture> {
  const command = [process.execPath, main, ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', `stty cols ${columns} rows 24; exec ${command}`, '/dev/null'], {
    cwd,
  });
  let text = '';
  let interrupt = interruptAt;
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
    if (interrupt?.test(text)) {
      interrupt = undefined;
      child.stdin.write('\x03');
    }
  });
  const timer = setTimeout(() => child.kill(), hangs);
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  return { status, text, ...draw(text, columns) };
}

/**
 * Does what a terminal does with the few codes that come here: a letter beyond the last column goes to the next row, or
 * while wrapping is off into the last column. Gives the lines with rows that were so continued joined again.
 */
function draw(text: string, columns: number): { screen: string[]; cursorShown: boolean } {
  const lines: string[][] = [[]];
  const continued = new Set<number>();
  let [row, column, cursorShown, wraps] = [0, 0, true, true];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about.
  for (const [, code, letter, plain] of text.matchAll(/\x1b\[([?\d;]*)([A-Za-z])|([\s\S])/gu)) {
    if (plain !== undefined && plain >= ' ' && column === columns) {
      column = wraps ? 0 : columns - 1;
      if (wraps) continued.add(row);
      row += wraps ? 1 : 0;
    }
    lines[row] ??= [];
    const line = lines[row];
    if (plain === '\n') row += 1;
    else if (plain === '\r') column = 0;
    else if (plain !== undefined) {
      line[column] = plain;
      column += 1;
    } else if (letter === 'G') column = Number(code) - 1;
    else if (letter === 'K' && code === '2') line.length = 0;
    else if (letter === 'K' || letter === 'J') {
      line.length = Math.min(line.length, column);
      if (letter === 'J') lines.length = row + 1;
    } else if (letter === 'A') row -= Number(code);
    else if (code === '?25') cursorShown = letter === 'h';
    else if (code === '?7') wraps = letter === 'h';
    else throw new Error(`unknown code ${code}${letter}`);
  }
  const screen: string[] = [];
  lines.forEach((line, i) => {
    const words = Array.from(line, (letter) => letter ?? ' ').join('');
    if (continued.has(i - 1)) screen[screen.length - 1] += words;
    else screen.push(words);
  });
  return { screen, cursorShown };
}

const args = ['--dataset', 'mnist-10k', '--no-save-plots'];
const left = '(--|\\d+s|\\d+m\\d\\ds|\\d+h\\d\\dm) left';
/** What the bar's line is in so many columns, at least. */
const bars: [number, RegExp][] = [
  [80, new RegExp(`[█░]{20} {1,3}\\d+% \\| epoch \\d/2 \\| [\\d,]+ samples/s \\| ${left}`, 'g')],
  [60, new RegExp(`[█░]{8} {1,3}\\d+% \\| epoch \\d/2 \\| [\\d,]+ samples/s \\| ${left}`, 'g')],
  [40, new RegExp(`[█░]{8} {1,3}\\d+% \\| epoch \\d/2 \\| ${left}`, 'g')],
  [20, /\d+% epoch \d\/2/g],
];
const epochLine = /^epoch \d\/2 {2}loss \d\.\d{4} {2}mse .* samples\/s$/;

describe.skipIf(!hasScript)('on a terminal', () => {
  it.each(bars)(
    'of %i columns a bar comes and goes; every line above it stays whole',
    async (columns, bar) => {
      const run = [...args, '--epochs', '2'];
      const { status, text, screen, cursorShown } = await onTerminal(columns, run, folder.make());
      expect([status, cursorShown]).toEqual([0, true]);
      const drawn = text.match(bar) ?? [];
      expect(drawn.length).toBeGreaterThan(2);
      expect(Math.max(...drawn.map(({ length }) => length))).toBeLessThan(columns);
      expect(text).toContain('\x1b[?25l');
      expect(screen.filter((line) => !line.startsWith('Warning: '))).toEqual([
        'parameters  32,164 (784-20-784, relu)',
        expect.stringMatching(/^device {6}/),
        'data        mnist-10k: 10,000 rows of 784 values',
        'epochs      2, in batches of 64',
        expect.stringMatching(/^first step {2}/),
        expect.stringMatching(epochLine),
        expect.stringMatching(epochLine),
        'The model was not saved; --save-model saves it.',
      ]);
    },
  );

  it('what excites latents goes on in the same column, and no line is wider than the terminal', async () => {
    const run = ['--dataset', 'words-10k', '--sparsity', 'topk', '--h_dims', '64', '--steps', '20'];
    const { status, screen } = await onTerminal(60, [...run, '--no-save-plots'], folder.make());
    expect(status).toBe(0);
    const first = screen.indexOf('  latent   active  labels of the rows that excite it most') + 1;
    const lines = screen.slice(first, -1);
    expect(lines.filter((line) => !/^( {4}[ \d]{4} {2,}\S+%| {17}) {2}\S.*$/.test(line))).toEqual([]);
    expect(lines.length).toBeGreaterThan(15);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(60);
  });

  it('of 40 columns the picture of the norms stays beside its figures', async () => {
    const { status, screen } = await onTerminal(40, ['rows', digitsFile], folder.make());
    expect(status).toBe(0);
    const drawn = screen.filter((line) => /^ .*[▏▎▍▌▋▊▉█]$/.test(line));
    expect(drawn.length).toBeGreaterThan(10);
    const longest = Math.max(...drawn.map(({ length }) => length));
    expect([longest > 35, longest < 40]).toEqual([true, true]);
  });

  it('Ctrl-C is answered, and the cursor is shown again', async () => {
    const cwd = folder.make();
    const run = [...args, '--epochs', '500', '--save-model'];
    const { status, screen, cursorShown } = await onTerminal(80, run, cwd, /epoch {3}2\/500 .* left/);
    expect([status, cursorShown]).toEqual([130, true]);
    const lines = screen.map((line) => line.replace('^C', ''));
    // The current steps may have ended an epoch.
    const after = lines.slice(
      lines.indexOf('Stopping after the current steps; press Ctrl-C again to quit at once.') + 1,
    );
    expect(after.filter((line) => !/^epoch +\d+\/500 {2}loss/.test(line))).toEqual([
      `model     ${join('files', 'sae.safetensors')}`,
    ]);
    expect(after.length).toBeLessThanOrEqual(2);
    expect(screen.join('\n')).not.toMatch(/[█░]/);
    expect(filesIn(cwd)).toEqual(
      ['metrics.jsonl', 'run.json', 'sae.safetensors'].map((file) => join('files', file)),
    );
  });
});

it('in a pipe there is no bar and no code of a terminal', async () => {
  const text = await succeeds([...args, '--epochs', '2'], { cwd: folder.make() });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: see above.
  expect(text).not.toMatch(/[\x1b\r█░]/);
  expect(text).toMatch(/^epoch 2\/2 {2}loss /m);
});
