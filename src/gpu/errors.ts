/**
 * Every failure that the engine foresees: the message is one or two plain sentences that say what was wrong,
 * what was expected and what to do. Anything else that is thrown is a defect in the engine.
 */
export class EngineError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No adapter, or none of the name that was asked for. */
export class NoAdapterError extends EngineError {}

/** Something is larger than the adapter allows. Thrown before anything is allocated. */
export class LimitError extends EngineError {}

/** The device could not allocate what was asked of it. */
export class OutOfMemoryError extends EngineError {}

/** The device went away: a driver reset, an unplugged GPU, a process that was killed. */
export class DeviceLostError extends EngineError {}
