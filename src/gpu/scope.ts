/** What a scope can own: it calls `destroy` or, on what users close, `close`. */
export type Ownable = { destroy(): void } | { close(): void };

/**
 * Owns objects and frees them once, in reverse order, as the standard's `DisposableStack` does, which not every
 * JavaScript engine has yet.
 */
export class Scope {
  #owned: Ownable[] = [];

  /** Owns a tensor, a program, a model or the like, and returns it. */
  use<T extends Ownable>(owned: T): T {
    this.#owned.push(owned);
    return owned;
  }

  /** Owns something that is freed by a function, and returns it. */
  adopt<T>(owned: T, free: (owned: T) => void): T {
    this.use({ destroy: () => free(owned) });
    return owned;
  }

  /** Frees all that it owns, in reverse order. */
  destroy(): void {
    for (const owned of this.#owned.splice(0).reverse()) {
      if ('destroy' in owned) {
        owned.destroy();
      } else {
        owned.close();
      }
    }
  }

  /** Runs `make`, whose result takes over the scope; if it throws, all that the scope owns is freed. */
  static async building<T>(make: (scope: Scope) => Promise<T>): Promise<T> {
    const scope = new Scope();
    try {
      return await make(scope);
    } catch (error) {
      scope.destroy();
      throw error;
    }
  }

  /** Runs `work`, then frees all that the scope owns. */
  static async during<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
    const scope = new Scope();
    try {
      return await work(scope);
    } finally {
      scope.destroy();
    }
  }
}
