// The runner's side of a peer: a process that stays, so that peers can take turns without starting again.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A contestant cannot go on; the message is a sentence for the report. */
export class Dropped extends Error {}

export class Contestant {
  #child;
  #waiting;
  /** Why there is no process any more. */
  #ended;
  #errors = '';

  /**
   * @param definition { name, command, environment? } and whatever the runner wants to know of it.
   * @param until when the last answer must be there, as performance.now() counts.
   */
  constructor(definition, until) {
    Object.assign(this, definition);
    this.until = until;
  }

  /** Starts the process and resolves to its hello: { versions, adapter?, notes?, software? }. @throws Dropped */
  async start(environment) {
    const [program, ...options] = this.command;
    this.#child = spawn(program, options, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...environment, ...this.environment },
    });
    this.#child.on('error', (error) => this.#end(`it could not be started: ${error.message}`));
    this.#child.on('close', (code, signal) => {
      const last = this.#errors.trim().split('\n').at(-1).slice(0, 200);
      this.#end(`its process ended with ${signal ?? code}${last && `: ${last}`}`);
    });
    this.#child.stdin.on('error', () => {}); // the close says it
    this.#child.stderr.on('data', (data) => {
      this.#errors = (this.#errors + data).slice(-2000);
      if (process.env.DEBUG === 'sae') process.stderr.write(data);
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      // Libraries greet on standard output as well.
      if (line.startsWith('{')) this.#waiting?.resolve(JSON.parse(line));
    });
    return this.#answer(120);
  }

  /** Asks for something and waits for the answer. @throws Dropped where it fails or takes longer. */
  ask(request, seconds = 120) {
    const answer = this.#answer(seconds);
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return answer;
  }

  stop() {
    this.#child?.kill('SIGKILL');
  }

  async #answer(seconds) {
    if (this.#ended) throw new Dropped(this.#ended);
    const limit = Math.max(1, Math.min(seconds, (this.until - performance.now()) / 1000));
    let timer;
    try {
      const answer = await new Promise((resolve, reject) => {
        this.#waiting = { resolve, reject };
        timer = setTimeout(() => {
          this.stop();
          reject(new Dropped(`it gave no answer within ${Math.round(limit)} s`));
        }, limit * 1000);
      });
      if (answer.failed !== undefined) throw new Dropped(answer.failed.replace(/\.$/, ''));
      return answer;
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }

  #end(why) {
    this.#ended = why;
    this.#waiting?.reject(new Dropped(why));
  }
}
