/** The element of that id. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** A button's action, also for Enter and Space. */
export function onClick(id: string, action: () => void): void {
  element(id).addEventListener('click', action);
}

/** Those who ask for less motion see pictures change less often. */
const calm = matchMedia('(prefers-reduced-motion: reduce)').matches ? 6 : 1;

/**
 * Calls `work` when it is asked to, but never twice at a time: what is asked for meanwhile is met by one more call, some
 * milliseconds later and after the next frame has been drawn.
 */
export function paced(milliseconds: number, work: () => Promise<void> | void): () => void {
  let wanted = false;
  let running = false;
  const run = async () => {
    running = true;
    while (wanted) {
      wanted = false;
      await work();
      await new Promise((resolve) => setTimeout(resolve, milliseconds * calm));
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

/** Shows a sentence until it is dismissed; another one of the same topic takes its place. */
export function tell(topic: 'trouble' | 'news', sentence: string): void {
  const box = document.createElement('div');
  box.className = topic;
  const text = document.createElement('span');
  text.textContent = sentence;
  const dismiss = document.createElement('button');
  dismiss.type = 'button';
  dismiss.textContent = 'Dismiss';
  dismiss.addEventListener('click', () => forget(topic));
  box.append(text, dismiss);
  forget(topic);
  element('messages').append(box);
}

/** Takes away what was told on a topic. */
export function forget(topic: 'trouble' | 'news'): void {
  const box = element('messages').querySelector(`.${topic}`);
  // The focus stays on the page.
  if (box?.contains(document.activeElement)) {
    document.querySelector('main')!.focus({ preventScroll: true });
  }
  box?.remove();
}

/** Says something to those who hear the page. */
export function announce(sentence: string): void {
  element('announcement').textContent = sentence;
}

/** A canvas that is a picture with a name. */
export function pictureCanvas(name: string): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.role = 'img';
  canvas.ariaLabel = name;
  return canvas;
}
