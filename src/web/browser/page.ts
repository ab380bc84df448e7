export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

export function onClick(id: string, action: () => void): void {
  element(id).addEventListener('click', action);
}

/** Pictures change less often for visitors who prefer reduced motion. */
const slowdown = matchMedia('(prefers-reduced-motion: reduce)').matches ? 6 : 1;

/**
 * Returns a function that calls `work`, but one call at a time: requests during a call lead to one more call, some
 * milliseconds later and after the next frame; where these are not 0, also not sooner than the call itself took, so that training has
 * half of the device.
 */
export function paced(milliseconds: number, work: () => Promise<void> | void): () => void {
  let wanted = false;
  let running = false;
  const run = async () => {
    running = true;
    while (wanted) {
      wanted = false;
      const begun = performance.now();
      await work();
      const took = performance.now() - begun;
      const rest = milliseconds > 0 ? Math.max(milliseconds * slowdown, took) : 0;
      await new Promise((resolve) => setTimeout(resolve, rest));
      await new Promise(requestAnimationFrame);
    }
    running = false;
  };
  return () => {
    wanted = true;
    if (!running) {
      void run();
    }
  };
}

/** What a message is about. */
type Topic = 'trouble' | 'news' | 'kept';

/**
 * Shows a message until it is dismissed or replaced by another one on the same topic.
 * @param answers what the visitor may answer, by the words on buttons; each removes the message.
 */
export function tell(
  topic: Topic,
  sentence: string,
  answers: Readonly<Record<string, () => void>> = { Dismiss: () => {} },
): void {
  const box = document.createElement('div');
  box.className = topic;
  const text = document.createElement('span');
  text.textContent = sentence;
  const buttons = Object.entries(answers).map(([words, act]) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = words;
    button.addEventListener('click', () => {
      forget(topic);
      act();
    });
    return button;
  });
  box.append(text, ...buttons);
  forget(topic);
  element('messages').append(box);
}

/** Removes the message on a topic. */
export function forget(topic: Topic): void {
  const box = element('messages').querySelector(`.${topic}`);
  // Otherwise the focus would be lost.
  if (box?.contains(document.activeElement)) {
    document.querySelector('main')!.focus({ preventScroll: true });
  }
  box?.remove();
}

/** Announces something to screen readers. */
export function announce(sentence: string): void {
  element('announcement').textContent = sentence;
}

/** Shows a text that screen readers announce when it changes, and not each time that it is shown. */
export function showText(id: string, text: string): void {
  const place = element(id);
  if (place.textContent !== text) {
    place.textContent = text;
  }
}

/** A canvas with a name for screen readers. */
export function pictureCanvas(name: string): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.role = 'img';
  canvas.ariaLabel = name;
  return canvas;
}
