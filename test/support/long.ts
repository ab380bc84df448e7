/** Whether tests that take long by their nature run as well: in `npm run test:long`. */
export const long = process.env.SAE_TESTS === 'long';

/** Of cases that differ in one thing each: all of them in `npm run test:long`, else so many, evenly from the first to the last. */
export function few<T>(cases: readonly T[], count: number): readonly T[] {
  const step = (cases.length - 1) / (count - 1);
  return long ? cases : Array.from({ length: count }, (_, i) => cases[Math.round(i * step)]);
}
