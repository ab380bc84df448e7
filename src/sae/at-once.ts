/** Files that are looked at side by side: more than a disk is asked for at once, few enough to be open together. */
const most = 16;

/** What `work` makes of each item, in their order, of some items at once. It fails as the first of them that fails, and begins no more then. */
export async function atOnce<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = new Array(items.length);
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) {
      try {
        done[i] = await work(items[i]);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker));
  return done;
}
