import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { long } from '../support/long.js';
import { hasScript, PseudoTerminal } from './pseudo-terminal.js';
import { digitsFile, filesIn, main, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();

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
  it.each(long ? bars : [bars[0]])(
    'of %i columns a bar comes and goes; every line above it stays whole',
    async (columns, bar) => {
      const run = [...args, '--epochs', '2'];
      const terminal = new PseudoTerminal(run, { columns, cwd: folder.make() });
      expect([await terminal.end(), terminal.cursorShown]).toEqual([0, true]);
      const { text, lines } = terminal;
      const drawn = text.match(bar) ?? [];
      expect(drawn.length).toBeGreaterThan(2);
      expect(Math.max(...drawn.map(({ length }) => length))).toBeLessThan(columns);
      expect(text).toContain('\x1b[?25l');
      expect(lines.filter((line) => !line.startsWith('Warning: '))).toEqual([
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

  it.runIf(long)(
    'what excites latents goes on in the same column, and no line is wider than the terminal',
    async () => {
      const run = ['--dataset', 'words-10k', '--sparsity', 'topk', '--h_dims', '64', '--steps', '20'];
      const terminal = new PseudoTerminal([...run, '--no-save-plots'], { columns: 60, cwd: folder.make() });
      expect(await terminal.end()).toBe(0);
      const screen = terminal.lines;
      const first = screen.indexOf('  latent   active  labels of the rows that excite it most') + 1;
      const lines = screen.slice(first, -1);
      expect(lines.filter((line) => !/^( {4}[ \d]{4} {2,}\S+%| {17}) {2}\S.*$/.test(line))).toEqual([]);
      expect(lines.length).toBeGreaterThan(15);
      expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(60);
    },
  );

  it('of 40 columns the picture of the norms stays beside its figures', async () => {
    const terminal = new PseudoTerminal(['rows', digitsFile], { columns: 40, cwd: folder.make() });
    expect(await terminal.end()).toBe(0);
    const drawn = terminal.lines.filter((line) => /^ .*[▏▎▍▌▋▊▉█]$/.test(line));
    expect(drawn.length).toBeGreaterThan(10);
    const longest = Math.max(...drawn.map(({ length }) => length));
    expect([longest > 35, longest < 40]).toEqual([true, true]);
  });

  it.runIf(long)('Ctrl-C and Ctrl-Z are answered, and the cursor is shown again', async () => {
    const cwd = folder.make();
    const run = [...args, '--epochs', '500', '--save-model'];
    const terminal = new PseudoTerminal(run, { columns: 80, cwd });
    const barAt = (epoch: number) => (lines: readonly string[]) =>
      Number(/ epoch +(\d+)\/500 .* left/.exec(lines.at(-1) ?? '')?.[1]) >= epoch;
    await terminal.until(barAt(2));
    const before = terminal.text.length;
    await terminal.pause();
    await terminal.until(() => /25h.*25l/s.test(terminal.text.slice(before)));
    await terminal.until(barAt(3));
    terminal.type('\x03');
    expect([await terminal.end(), terminal.cursorShown]).toEqual([130, true]);
    const lines = terminal.lines.map((line) => line.replace('^C', ''));
    // The current steps may have ended an epoch.
    const after = lines.slice(
      lines.indexOf('Stopping after the current steps; press Ctrl-C again to quit at once.') + 1,
    );
    expect(after.filter((line) => !/^epoch +\d+\/500 {2}loss/.test(line))).toEqual([
      expect.stringMatching(/^snapshot {2}\S+ \(step [\d,]+ of [\d,]+; --resume goes on\)$/),
      `model     ${join('files', 'sae.safetensors')}`,
    ]);
    expect(after.length).toBeLessThanOrEqual(3);
    expect(lines.join('\n')).not.toMatch(/[█░]/);
    expect(filesIn(cwd)).toEqual(
      ['metrics.jsonl', 'run.json', 'sae.safetensors', 'snapshot.safetensors'].map((file) =>
        join('files', file),
      ),
    );
  });
});

it.runIf(long && hasScript)('after Ctrl-Z and `bg`, it leaves the terminal to others', async () => {
  const command = [process.execPath, main, ...args, '--epochs', '500'].map((word) => `'${word}'`).join(' ');
  const job = folder.write(
    'job.sh',
    `set -m\n${command} &\necho "pid $!."\nwhile kill -0 $!; do sleep 0.2; done`,
  );
  const shell = spawn('script', ['-qec', `bash ${job}`, '/dev/null'], {
    cwd: folder.make(),
    env: { ...process.env, TERM: 'xterm-256color' },
  });
  let text = '';
  shell.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  const shows = (sign: RegExp, from = 0) => expect.poll(() => text.slice(from)).toMatch(sign);
  await shows(/pid \d+\..* left/s);
  const pid = Number(/pid (\d+)/.exec(text)![1]);
  try {
    process.kill(pid, 'SIGTSTP');
    await expect.poll(() => text).toContain('\x1b[?25h');
    const from = text.length;
    process.kill(pid, 'SIGCONT');
    await shows(/(epoch +\d+\/500 {2}loss [^\n]*\n){2}/, from);
    expect(text.slice(from)).not.toMatch(/[█░]/);
    expect(text.slice(from)).not.toContain('\x1b');
  } finally {
    process.kill(pid, 'SIGKILL');
  }
});

it.runIf(long)('in a pipe there is no bar and no code of a terminal', async () => {
  const text = await succeeds([...args, '--epochs', '2'], { cwd: folder.make() });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: see above.
  expect(text).not.toMatch(/[\x1b\r█░]/);
  expect(text).toMatch(/^epoch 2\/2 {2}loss /m);
});
