import { readFileSync } from 'node:fs';

/**
 * What is on a terminal as long as this process has it. Ctrl-Z takes it off, and a process that then goes on in the background (`bg`)
 * leaves the terminal to others until it is in front again (`fg`). However the process ends, short of SIGKILL, it is taken off.
 */
export class Foreground {
  #shown = false;

  constructor(
    private readonly show: () => void,
    private readonly hide: () => void,
  ) {
    process.on('SIGTSTP', this.#pause);
    process.on('SIGCONT', this.#resume);
    process.on('exit', this.#takeOff);
    this.#putOn();
  }

  get shown(): boolean {
    return this.#shown;
  }

  close(): void {
    process.off('SIGTSTP', this.#pause);
    process.off('SIGCONT', this.#resume);
    process.off('exit', this.#takeOff);
    this.#takeOff();
  }

  #putOn(): void {
    if (this.#shown) return;
    this.#shown = true;
    this.show();
  }

  readonly #takeOff = () => {
    if (!this.#shown) return;
    this.#shown = false;
    this.hide();
  };

  /** Ctrl-Z. */
  readonly #pause = () => {
    this.#takeOff();
    process.kill(process.pid, 'SIGSTOP');
  };

  readonly #resume = () => {
    if (isInFront()) this.#putOn();
  };
}

/** Whether keys that are pressed on the terminal go to this process. True where the system does not tell. */
function isInFront(): boolean {
  try {
    // After the name: state, parent, group of processes, session, terminal, and the group that has the terminal.
    const [, , group, , , front] = readFileSync('/proc/self/stat', 'utf8').replace(/.*\) /s, '').split(' ');
    return Number(front) <= 0 || front === group;
  } catch {
    return true;
  }
}
