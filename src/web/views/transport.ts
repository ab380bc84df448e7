import { element, showText } from '../browser/page.js';
import type { Session } from '../session/session.js';

/** What goes on besides training. */
export interface Waiting {
  /** A model is being made: kernels are compiled, which takes seconds. */
  readonly preparing: boolean;
  /** Training was asked for, and begins when that is done. */
  readonly asked: boolean;
}

/** Shows which buttons can be pressed, and what goes on. Training can be asked for before there is a model. */
export function showTransport(
  { run, training, done, history }: Session,
  { preparing, asked }: Waiting,
): void {
  const enable = (on: boolean, buttons: string) => {
    for (const button of document.querySelectorAll<HTMLButtonElement>(buttons)) {
      button.disabled = !on;
    }
  };
  enable(run !== undefined || preparing, '#train, #step, #epoch');
  enable(run !== undefined, '#reset, #save-model, #save-report, #clear, #another, button.icon');
  enable(done > 0, '#save-csv');
  // A disabled button would lose the focus, and Enter would not do the next step.
  for (const id of ['step', 'epoch']) {
    element(id).ariaDisabled = String(training || asked);
  }
  const train = element('train');
  train.querySelector('span')!.textContent = training ? 'Pause' : asked ? 'Cancel' : 'Train';
  train.querySelector('use')!.setAttribute('href', training || asked ? '#icon-pause' : '#icon-train');
  const loss = history.recent?.loss.toFixed(3);
  showText('announcement', whatGoesOn());

  function whatGoesOn(): string {
    if (asked && preparing) return 'Training begins once the kernels are compiled.';
    if (preparing) return 'Compiling the kernels. Train can be pressed already.';
    if (training) return 'Training.';
    if (!run) return '';
    return done > 0 ? `Paused at step ${done}${loss ? `, loss ${loss}` : ''}.` : 'Ready.';
  }
}
