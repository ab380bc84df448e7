/** Lets the event loop see to signals and other work. */
export function endTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
