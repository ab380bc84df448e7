import {
  type LossPoint,
  lossParts,
  NoAdapterError,
  type SparsityName,
  weightedTerms,
} from '../../sae/index.js';
import { element } from '../browser/page.js';
import type { Run } from '../session/run.js';
import type { Session } from '../session/session.js';

const none = '–';

/**
 * Shows the adapter, the progress of training and its metrics.
 * @param whole the total steps that training is to reach; the session's own goal may be fewer or more.
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
    'explained-variance': recent ? recent.explained_variance.toFixed(3) : none,
    active: recent ? `${recent.active.toFixed(1)} of ${model.hidden}` : none,
  };
  for (const [id, text] of Object.entries(texts)) {
    element(id).textContent = text;
  }
  showTerms(trainer.config.sparsity, recent);
  showSum(run, recent);
  element('device').hidden = false;
  element('software').hidden = !gpu.software;
  const progress = element<HTMLProgressElement>('progress');
  progress.max = goal;
  progress.value = done;
}

/** Shows the weighted terms of the kind of sparsity among the other figures. */
function showTerms(sparsity: SparsityName, recent: LossPoint<SparsityName> | undefined): void {
  const places = [...document.querySelectorAll<HTMLElement>('#figures .term')];
  const terms = weightedTerms(sparsity, recent ?? { loss: 0, mse: 0 });
  while (places.length < terms.length) {
    const place = document.createElement('div');
    place.className = 'term';
    place.append(document.createElement('dt'), document.createElement('dd'));
    element('active-figure').before(place);
    places.push(place);
  }
  places.forEach((place, i) => {
    place.hidden = i >= terms.length;
    if (!place.hidden) {
      place.querySelector('dt')!.textContent = named(terms[i].name);
      place.querySelector('dd')!.textContent = recent ? terms[i].value.toFixed(3) : none;
    }
  });
}

/** Shows what adds up to the loss. */
function showSum({ model, trainer }: Run, recent: LossPoint<SparsityName> | undefined): void {
  const sizes = { in_dims: model.config.in_dims, latents: model.hidden };
  const parts = lossParts(trainer.config, recent ?? { loss: 0, mse: 0 }, sizes);
  const words = parts.map(({ name, value }) => named(name) + (recent ? ` ${value.toFixed(3)}` : ''));
  element('loss-sum').textContent =
    `loss${recent ? ` ${recent.loss.toFixed(3)}` : ''} = ${words.join(' + ')}`;
}

const named = (term: string) => term.replace('*', '·');

/** Why there is no first model, and what to do if a device is missing. */
export function whyNoDevice(error: unknown): string {
  if (!isSecureContext) {
    return 'Browsers offer WebGPU, which this page needs, only to pages served over https or from localhost. Open it that way.';
  }
  if (!('gpu' in navigator)) {
    return (
      'This browser has no WebGPU, which this page needs. Open it in a current Chrome, Edge or Safari, or in ' +
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
