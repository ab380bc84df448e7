import { NoAdapterError, weightedKl } from '../sae/index.js';
import { element } from './page.js';
import type { Session } from './session.js';

const none = '–';

/**
 * What runs, how far training is and what it gives, in figures.
 * @param whole steps that training goes to in the end; the session may be at fewer, or more.
 */
export function showStatus(
  { run, training, history, done, speed, goal: next }: Session,
  whole: number,
): void {
  if (!run) {
    return;
  }
  const { gpu, model, trainer } = run;
  const { recent } = history;
  const { batches } = trainer.step;
  const goal = Math.max(whole, done, next);
  const left = trainer.rowsOf(next) - trainer.rowsOf(done);
  const texts: Record<string, string> = {
    adapter: gpu.name,
    memory: size(gpu.allocatedBytes),
    'epochs-done': `${(done / batches).toFixed(done < goal ? 1 : 0)} of ${Math.ceil(goal / batches)}`,
    'steps-done': done.toLocaleString('en'),
    speed: training && speed > 0 ? Math.round(speed).toLocaleString('en') : none,
    'time-left': training && speed > 0 ? duration(left / speed) : none,
    loss: recent ? recent.loss.toFixed(3) : none,
    mse: recent ? recent.mse.toFixed(3) : none,
    penalty: recent ? weightedKl(recent).toFixed(3) : none,
    active: recent ? `${recent.active.toFixed(1)} of ${model.hidden}` : none,
  };
  for (const [id, text] of Object.entries(texts)) {
    element(id).textContent = text;
  }
  element('device').hidden = false;
  element('software').hidden = !gpu.software;
  const progress = element<HTMLProgressElement>('progress');
  progress.max = goal;
  progress.value = done;
}

/** Why there is no first model, and what to do where that is for want of a device. */
export function whyNoDevice(error: unknown): string {
  if (!isSecureContext) {
    return 'Browsers offer WebGPU, which this page computes with, only to pages that come over https or from localhost. Open it that way.';
  }
  if (!('gpu' in navigator)) {
    return (
      'This browser has no WebGPU, which this page computes with. Open it in a current Chrome, Edge or Safari, or in ' +
      'Firefox on Windows or macOS; Chrome on Linux may need chrome://flags/#enable-unsafe-webgpu.'
    );
  }
  if (!(error instanceof NoAdapterError)) {
    return (error as Error).message;
  }
  return (
    `${error.message} Switch on graphics acceleration in the browser’s settings, or update the graphics driver, ` +
    'and reload the page. Chrome says at chrome://gpu what it found.'
  );
}

function size(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 2 ** 10)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function duration(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
