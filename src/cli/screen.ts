import { Foreground } from './foreground.js';

const { stdout } = process;

/** Another screen, without lines that scroll away: what stood on the terminal comes back when it is left. The cursor is hidden on it. */
const [enter, leave] = ['\x1b[?1049h\x1b[?25l', '\x1b[?25h\x1b[?1049l'];
/** What comes between them appears at once, on terminals that know these. */
const [begin, end] = ['\x1b[?2026h', '\x1b[?2026l'];
const [home, clearToEnd, clearBelow] = ['\x1b[H', '\x1b[K', '\x1b[J'];

/** The whole terminal, for something that is drawn again and again. */
export class Screen {
  readonly #content: (columns: number, rows: number) => readonly string[];
  readonly #place: Foreground;

  /** @param content gives what is to stand there, as lines of fewer characters than there are columns. Where there are too many, the last ones are shown. */
  constructor(content: (columns: number, rows: number) => readonly string[]) {
    this.#content = content;
    this.#place = new Foreground(
      () => stdout.write(enter),
      () => stdout.write(leave),
    );
    stdout.on('resize', this.draw);
    process.on('SIGCONT', this.draw);
    this.draw();
  }

  readonly draw = () => {
    if (!this.#place.shown) return;
    const { columns, rows } = stdout;
    const lines = this.#content(columns || 80, rows || 24).slice(-(rows || 24));
    const text = lines.map((line) => `${line}${clearToEnd}`).join('\r\n');
    // The cursor rests at the top, where keys that are pressed cannot scroll anything away.
    stdout.write(`${begin}${home}${text}${clearBelow}${home}${end}`);
  };

  close(): void {
    stdout.off('resize', this.draw);
    process.off('SIGCONT', this.draw);
    this.#place.close();
  }
}
