/** Gigabytes of the visitor's computer; not every browser tells. */
const { deviceMemory = 8 } = navigator as { deviceMemory?: number };

/** Bytes of rows that are kept in memory: a thirty-second of it. */
export const mostMemory = deviceMemory * 2 ** 25;
