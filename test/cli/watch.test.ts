import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { plot } from 'simple-ascii-chart';
import { describe, expect, it } from 'vitest';
import { panel } from '../../src/cli/panel.js';
import { long } from '../support/long.js';
import { hasScript, PseudoTerminal } from './pseudo-terminal.js';
import { bytes, filesIn, npy, objects, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([60, 16], bytes(960)));
const args = ['--data', rows, '--h_dims', '6', '--batch_size', '20', '--no-save-plots', '--watch'];

describe('a curve', () => {
  const drawn = (values: readonly number[], width: number, height: number) =>
    panel(plot, { title: 'figure 1.5', values }, { width, height, colors: false });
  /** Where it is in some columns of its own: the row below the title. */
  const rowsAt = (lines: readonly string[], columns: readonly number[]) =>
    columns.map((column) => lines.findIndex((line) => line[8 + column] === '━'));
  const steps = (...levels: number[]) => levels.flatMap((level) => Array<number>(10).fill(level));

  it('is as high as its values, from the least to the greatest, which are at its axis', () => {
    const lines = drawn(steps(-3, -2.5, -2, -1.5), 50, 5);
    expect(lines.every((line) => line.length === 50)).toBe(true);
    expect(lines[0].trimEnd()).toBe('figure 1.5');
    expect(lines.slice(1).map((line) => line.slice(0, 8))).toEqual([
      '   -1.5┤',
      '       │',
      '       │',
      '     -3┤',
    ]);
    expect(rowsAt(lines, [5, 15, 25, 35])).toEqual([4, 3, 2, 1]);
  });

  it('is drawn by its logarithm where its ends are far apart', () => {
    const lines = drawn(steps(1000, 100, 10, 1), 50, 5);
    expect(rowsAt(lines, [5, 15, 25, 35])).toEqual([1, 2, 3, 4]);
    expect([lines[1].slice(0, 8), lines[4].slice(0, 8)]).toEqual(['   1000┤', '      1┤']);
  });

  it('has the means of neighbours where there are more values than columns, and leaves out what is not finite', () => {
    const up = Array.from({ length: 400 }, (_, i) => (i % 2 ? 0 : 2) + (i < 200 ? 0 : 3));
    const lines = drawn([...up, Number.NaN], 49, 5);
    expect([lines[1].slice(0, 8), lines[4].slice(0, 8)]).toEqual(['      4┤', '      1┤']);
    expect(rowsAt(lines, [3, 10, 25, 35])).toEqual([4, 4, 1, 1]);
  });

  it('stays away where there is no room for it, and before there are values', () => {
    const title = 'figure 1.5'.padEnd(30);
    expect(drawn([1, 2], 30, 2)).toEqual([title, ' '.repeat(30)]);
    expect(drawn([], 30, 5)).toEqual([title, ...Array(4).fill(' '.repeat(30))]);
  });
});

/** The titles of all curves, with a figure each. */
const titles = [
  /loss \d+\.\d{4}( |$)/,
  /R2 -?\d+\.\d{4}( |$)/,
  /L0 \d\.\d\d of 6 latents/,
  /dead \d of 6 latents/,
];
const isWhole = (lines: readonly string[]) =>
  [...titles, /^epoch .* loss /].every((one) => lines.some((line) => one.test(line)));
const widest = (lines: readonly string[]) => Math.max(...lines.map(({ length }) => length));
const curves = (lines: readonly string[]) => lines.join('\n').match(/[┤│]/g)?.length;

describe.skipIf(!hasScript)('--watch on a terminal', () => {
  it('draws curves, bar and last line in place, in the size that it has; Ctrl-Z and Ctrl-C leave it', async () => {
    const cwd = folder.make();
    const run = [...args, '--epochs', '1000000', '--save-model'];
    const terminal = new PseudoTerminal(run, { columns: 80, cwd });
    await terminal.until(isWhole);
    expect([terminal.isOther, terminal.cursorShown]).toEqual([true, false]);
    expect(terminal.text).toContain('\x1b[36m');
    const wide = terminal.lines;
    // Two beside each other, two below: eight rows of each.
    expect([wide.length, widest(wide), curves(wide)]).toEqual([24, expect.toSatisfy((n) => n < 80), 32]);
    expect([wide[0], wide[10]]).toEqual([
      expect.stringMatching(/^loss .* R2 /),
      expect.stringMatching(/^L0 .* dead /),
    ]);
    expect(wide[20]).toMatch(/^mse \d\.\d{4} {2}kl \d+\.\d{4} {2}dense \d$/);
    expect(wide[21]).toMatch(/^[█░]{8,20} +\d+% \| epoch +\d+\/1000000 \| .* left$/);
    expect(wide[22]).toMatch(/^epoch +\d+\/1000000 {2}loss \d/);

    terminal.resize(40, 24);
    await terminal.until((lines) => isWhole(lines) && /^R2 /.test(lines[5]));
    const narrow = terminal.lines;
    expect([narrow.length, widest(narrow), curves(narrow)]).toEqual([
      24,
      expect.toSatisfy((n) => n < 40),
      16,
    ]);
    expect([0, 5, 10, 15].map((row) => narrow[row].slice(0, 4))).toEqual(
      ['loss', 'R2 ', 'L0 ', 'dead'].map((word) => expect.stringMatching(`^${word}`)),
    );

    const before = terminal.text.length;
    await terminal.pause();
    await terminal.until(() => /1049l.*1049h/s.test(terminal.text.slice(before)));
    await terminal.until((lines) => terminal.isOther && isWhole(lines));

    // Too low for curves.
    terminal.resize(80, 8);
    await terminal.until((lines) => isWhole(lines) && lines.length === 8);
    expect(curves(terminal.lines)).toBeUndefined();

    terminal.type('\x03');
    const status = await terminal.end();
    expect([status, terminal.isOther, terminal.cursorShown]).toEqual([130, false, true]);
    const { lines } = terminal;
    expect(lines).toContain('Stopping after the current steps; press Ctrl-C again to quit at once.');
    expect(lines.at(-1)).toBe(`model     ${join('files', 'sae.safetensors')}`);
    // All lines that came meanwhile.
    const record = objects(readFileSync(join(cwd, 'files', 'metrics.jsonl'), 'utf8'));
    const printed = lines.filter((line) => /^epoch +\d+\/1000000 {2}loss/.test(line));
    expect(printed.map((line) => Number.parseInt(line.slice(6), 10))).toEqual(
      record.map(({ epoch }) => epoch),
    );
    expect(filesIn(cwd)).toEqual(
      ['metrics.jsonl', 'run.json', 'sae.safetensors', 'snapshot.safetensors'].map((file) =>
        join('files', file),
      ),
    );
  });

  it('draws the same curves of `sae synth`, whose scores stand below what was printed before', async () => {
    const terminal = new PseudoTerminal(['synth', '--steps', '100000', '--watch'], {
      columns: 80,
      cwd: folder.make(),
    });
    const known = [titles[0], titles[1], /L0 \d+\.\d\d of 32 latents/, /dead: counted when a pass has ended/];
    await terminal.until((lines) =>
      [...known, /training \| .* left$/].every((one) => lines.some((line) => one.test(line))),
    );
    // Three with values: of one pass over all rows, dead latents are known at its end.
    expect([terminal.isOther, curves(terminal.lines)]).toEqual([true, 24]);
    terminal.type('\x03');
    expect([await terminal.end(), terminal.isOther, terminal.cursorShown]).toEqual([130, false, true]);
    const { lines } = terminal;
    expect(lines.filter((line) => /^(device|trained|MCC) {4}/.test(line))).toHaveLength(3);
  });

  const wanted = [
    expect.stringMatching(/^parameters {2}/),
    expect.stringMatching(/^device {6}/),
    'data        rows.npy: 60 rows of 16 values',
    'epochs      3, in batches of 20',
    expect.stringMatching(/^first step {2}/),
    ...[1, 2, 3].map((epoch) => expect.stringMatching(`^epoch ${epoch}/3  loss `)),
    'The model was not saved; --save-model saves it.',
  ];
  const linesOf = async (env: object) => {
    const terminal = new PseudoTerminal([...args, '--epochs', '3'], {
      columns: 120,
      cwd: folder.make(),
      env,
    });
    expect([await terminal.end(), terminal.isOther, terminal.cursorShown]).toEqual([0, false, true]);
    return [terminal.text, terminal.lines.filter((line) => !line.startsWith('Warning: '))] as const;
  };

  it.runIf(long)('leaves the lines of a run without it; with NO_COLOR there are no colours', async () => {
    const [text, lines] = await linesOf({ NO_COLOR: '1' });
    expect(lines).toEqual(wanted);
    expect(text).toContain('\x1b[?1049h');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about.
    expect(text).not.toMatch(/\x1b\[[\d;]*m/);
  });

  it.runIf(long)('is for terminals that can do it: on a dumb one there are lines', async () => {
    const [text, lines] = await linesOf({ TERM: 'dumb' });
    expect(lines).toEqual(wanted);
    expect(text).not.toContain('\x1b');
  });
});

it('in a pipe there are lines', async () => {
  const text = await succeeds([...args, '--epochs', '2'], { cwd: folder.make() });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: see above.
  expect(text).not.toMatch(/[\x1b\r█░┤]/);
  expect(text).toMatch(/^epoch 2\/2 {2}loss /m);
});
