import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Session } from '../../node/fleet/sessions.js';
import type { GroupEnd } from '../../node/fleet/train-group.js';
import { ConfigError, EngineError } from '../../node/index.js';
import type { Store } from '../../node/store/store.js';
import type { FromGroup, GroupJob, ToGroup } from './group-process.js';

const program = fileURLToPath(new URL('./group-process.js', import.meta.url));

/** What is told on the way. */
export interface SlotEvents {
  progress(progress: Extract<FromGroup, { progress: unknown }>['progress']): void;
  line(line: string): void;
  warn(sentence: string): void;
}

/** How the work on a group ended: with what was left of it; or why it failed. */
export type SlotEnd = GroupEnd | { readonly failure: EngineError };

/** The process of an adapter, begun when it is needed, and again after a crash. */
export class Slot {
  #child: ChildProcess | undefined;

  constructor(
    readonly store: Store,
    readonly adapter: string,
    readonly lease: number | undefined,
    readonly events: SlotEvents,
  ) {}

  /** Trains a group. @param signal ends it, when what there is is saved. */
  async train(job: Omit<GroupJob, 'worker'>, signal: AbortSignal): Promise<SlotEnd> {
    const session = await Session.begin(this.store, this.adapter, this.lease);
    try {
      return await this.#run({ ...job, worker: session.id }, session, signal);
    } finally {
      await session.end();
    }
  }

  /** Ends its process. */
  close(): void {
    if (this.#child?.connected) this.#child.disconnect();
    this.#child = undefined;
  }

  /** Its process, another one if that has ended: it may be killed while it has nothing to do. */
  #process(): ChildProcess {
    if (this.#child) return this.#child;
    const child = fork(program, { serialization: 'advanced' });
    for (const event of ['exit', 'error']) {
      child.on(event, () => {
        if (this.#child === child) this.#child = undefined;
      });
    }
    this.#child = child;
    return child;
  }

  #run(job: GroupJob, session: Session, signal: AbortSignal): Promise<SlotEnd> {
    const child = this.#process();
    const { progress, line, warn } = this.events;
    return new Promise((resolve) => {
      let failure: EngineError | undefined;
      const stop = () => tell(child, { stop: true });
      const end = (how: SlotEnd) => {
        child.off('message', heard);
        child.off('exit', exited);
        child.off('error', unable);
        signal.removeEventListener('abort', stop);
        session.lost.removeEventListener('abort', stop);
        resolve(how);
      };
      const heard = (message: FromGroup) => {
        if ('progress' in message) {
          session.tell(message.progress);
          progress(message.progress);
        } else if ('line' in message) line(message.line);
        else if ('warn' in message) warn(message.warn);
        else if ('end' in message) end(message.end);
        else failure = new (message.isUsage ? ConfigError : EngineError)(message.failure);
      };
      const exited = (status: number | null, by: string | null) => {
        const how = by ? `by ${by}` : `with status ${status}`;
        end({ failure: failure ?? new EngineError(`The process of ${this.adapter} ended ${how}.`) });
      };
      // It could not be begun.
      const unable = ({ message }: Error) => {
        end({ failure: new EngineError(`The process of ${this.adapter} cannot be begun: ${message}.`) });
      };
      child.on('message', heard);
      child.on('exit', exited);
      child.on('error', unable);
      signal.addEventListener('abort', stop);
      session.lost.addEventListener('abort', stop);
      tell(child, { train: job });
      if (signal.aborted) stop();
    });
  }
}

function tell(child: ChildProcess, message: ToGroup): void {
  // If it has just ended, that is told by its end.
  if (child.connected) child.send(message, () => {});
}
