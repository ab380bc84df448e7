import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import xterm from '@xterm/headless';
import { onTestFinished } from 'vitest';
import { hangs, main } from './sae.js';

// util-linux's; that of the BSDs has other options.
export const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes(
  'util-linux',
);

/** A terminal in which `sae` runs. */
export class PseudoTerminal {
  /** All that it received. */
  text = '';
  readonly #terminal: xterm.Terminal;
  readonly #child: ChildProcess;
  #changed = () => {};

  /** @param env variables of the environment, besides TERM and without what else decides on colours. */
  constructor(
    args: readonly string[],
    { cwd, columns, rows = 24, env }: { cwd: string; columns: number; rows?: number; env?: object },
  ) {
    this.#terminal = new xterm.Terminal({ cols: columns, rows, scrollback: 100_000, allowProposedApi: true });
    const { NO_COLOR: _, FORCE_COLOR: _f, NODE_DISABLE_COLORS: _n, CI: _c, ...inherited } = process.env;
    const command = [process.execPath, main, ...args].map((word) => `'${word}'`).join(' ');
    // The first line tells which terminal and process these are.
    const shell = `stty cols ${columns} rows ${rows}; echo $(tty) $$; exec ${command}`;
    this.#child = spawn('script', ['-qec', shell, '/dev/null'], {
      cwd,
      env: { ...inherited, TERM: 'xterm-256color', ...env },
    });
    // A test that fails leaves nothing that goes on for a million epochs.
    onTestFinished(() => {
      if (this.#child.exitCode === null && this.text !== '') process.kill(this.#pid, 'SIGKILL');
    });
    this.#child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk;
      this.#terminal.write(chunk, () => this.#changed());
    });
  }

  /** What stands there, from the first line that scrolled away; lines that were wrapped are joined again. */
  get lines(): string[] {
    const { active } = this.#terminal.buffer;
    const lines: string[] = [];
    for (let i = 0; i < active.length; i++) {
      const line = active.getLine(i)!;
      const text = line.translateToString(false, 0, this.#terminal.cols);
      if (line.isWrapped) lines.push(lines.pop() + text);
      else lines.push(text);
    }
    const trimmed = lines.map((line) => line.trimEnd());
    const own = active.type === 'normal' ? 1 : 0;
    return trimmed.slice(own, trimmed.findLastIndex((line) => line !== '') + 1);
  }

  /** Whether what stands there is not what scrolls, but another screen in its place. */
  get isOther(): boolean {
    return this.#terminal.buffer.active.type === 'alternate';
  }

  get cursorShown(): boolean {
    return this.text.lastIndexOf('\x1b[?25l') <= this.text.lastIndexOf('\x1b[?25h');
  }

  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** Ctrl-Z, and `fg` once all has stopped. */
  async pause(): Promise<void> {
    process.kill(this.#pid, 'SIGTSTP');
    // `script` stops with the process that runs in it.
    const stopped = () => /\) T /.test(readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8'));
    for (let waited = 0; waited < hangs && !stopped(); waited += 10) await pause(10);
    for (const pid of [this.#child.pid!, this.#pid]) process.kill(pid, 'SIGCONT');
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows);
    spawnSync('stty', ['-F', this.#tty, 'cols', String(columns), 'rows', String(rows)]);
  }

  /** Waits until it shows something, in what it was given to show at once. */
  until(shows: (lines: readonly string[]) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        process.kill(this.#pid, 'SIGKILL');
        reject(new Error(`The terminal never shows it, but\n${this.lines.join('\n')}`));
      }, hangs);
      this.#changed = () => {
        if (this.#terminal.modes.synchronizedOutputMode || !shows(this.lines)) return;
        clearTimeout(timer);
        resolve();
      };
      this.#changed();
    });
  }

  /** Waits for the end, and gives the exit status. */
  async end(): Promise<number | null> {
    const timer = setTimeout(() => process.kill(this.#pid, 'SIGKILL'), hangs);
    const status = await new Promise<number | null>((resolve) => this.#child.on('close', resolve));
    clearTimeout(timer);
    await new Promise<void>((resolve) => this.#terminal.write('', resolve));
    return status;
  }

  get #tty(): string {
    return this.text.slice(0, this.text.indexOf(' '));
  }

  get #pid(): number {
    return Number.parseInt(this.text.slice(this.#tty.length), 10);
  }
}
