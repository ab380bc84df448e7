import { printable } from './shown.js';

/**
 * A failure that the engine expects: the message says in one or two sentences what was wrong, what was expected and
 * what to do. Anything else that is thrown is a bug in the engine.
 * Control characters in it, as names in files may have them, are shown as `\x1b`: a terminal would obey them.
 */
export class EngineError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(printable(message), options);
    this.name = new.target.name;
  }
}

/** No adapter, or none of the name that was asked for. */
export class NoAdapterError extends EngineError {}

/** Something is larger than the adapter allows. Thrown before anything is allocated for it. */
export class LimitError extends EngineError {}

/** The device could not allocate the memory that was needed. */
export class OutOfMemoryError extends EngineError {}

/** Something was used after it was closed, or closed while it was in use. The rest of the device is unaffected. */
export class ClosedError extends EngineError {}

/** The device was lost: a driver reset, an unplugged GPU, a killed process. */
export class DeviceLostError extends EngineError {}
