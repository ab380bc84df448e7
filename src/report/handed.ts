import { blocksWanted, factsBlock } from '../sae/insight/report/layout.js';
import { el } from './dom.js';

/** Milliseconds that a page has to answer. */
const patience = 10_000;

/** The page that has opened this one is not there any more, or has other data. Its message is for whoever looks at this one. */
export class NothingHanded extends Error {
  constructor() {
    super(
      'This tab shows a report for the page that opened it, which is closed. Open the report there again.',
    );
  }
}

/**
 * Takes a report's blocks from the page that has opened the viewer, unless they are in its own file. The page has checked them.
 * @throws NothingHanded.
 */
export async function takeBlocks(): Promise<void> {
  const from: Window | null = opener;
  if (!from || document.getElementById(factsBlock)) return;
  const blocks = await new Promise<unknown>((resolve) => {
    addEventListener('message', ({ source, origin, data }) => {
      if (source === from && origin === location.origin) resolve(data);
    });
    setTimeout(resolve, patience);
    from.postMessage(blocksWanted, location.origin);
  });
  if (!(blocks instanceof Map)) throw new NothingHanded();
  for (const [id, text] of blocks) {
    // Of a type that no browser runs, as in files.
    document.body.append(el('script', { id, type: 'application/octet-stream' }, text));
  }
}
