import './csp.js';
import digitsUrl from '../../dist/data/mnist-10k.idx.gz?url';
import { type Dataset, decodeDataset, encodeModel, type SavedModel } from '../sae/index.js';
import { onDrop, readFiles, saveBlob } from './files.js';
import { announce, element, forget, onClick, tell } from './page.js';
import { Session } from './session.js';
import {
  fromAddress,
  needRestart,
  type SettingName,
  type Settings,
  settingNames,
  settingText,
  toAddress,
} from './settings.js';
import { SettingsForm } from './settings-form.js';
import { whyNoDevice } from './status.js';
import { Views } from './views.js';

/** The 10,000 digits, once they are loaded. */
let digits: Dataset | undefined;
/** What the next model is trained on. */
let data: Dataset | undefined;
/** What the model at hand was made from. */
let made: { settings: Settings; data: Dataset; loaded: boolean } | undefined;

const session = new Session({
  prepared: (samples, dataset) => views.showFirst(samples, dataset),
  replaced: () => views.drawAll(),
  trained: () => {
    element<HTMLButtonElement>('save-csv').disabled = false;
    views.drawTrained();
  },
  changed: () => {
    views.showStatus();
    views.drawAll();
    showButtons();
    const { training, done, history } = session;
    const loss = history.recent?.loss.toFixed(3);
    announce(training ? 'Training.' : `Paused at step ${done}${loss ? `, loss ${loss}` : ''}.`);
  },
  failed: (sentence) => tell('trouble', sentence),
  recovered: (sentence) => tell('news', sentence),
});
const views = new Views(session);
const address = fromAddress(location.hash);
const form = new SettingsForm(address.settings, settingsChanged);

// Training

let queue = Promise.resolve();

/** New models come one after another, and what is done with one waits for those before. */
function inTurn(work: () => Promise<void>): void {
  queue = queue.then(work).then(showWaiting);
}

/** Where a new model is on its way, it is the one that is trained. */
function train(goal: () => number): void {
  inTurn(async () => {
    forget('trouble');
    session.train(goal());
  });
}

/** Does nothing while the model is trained. */
function trainSome(goal: () => number): void {
  if (!session.training) {
    train(goal);
  }
}

onClick('train', () => {
  if (session.training) {
    void session.pause();
    return;
  }
  train(() => {
    const whole = session.run!.trainer.stepsOf(form.settings.epochs);
    // Trained to the end, it goes on for as long again.
    views.goal = session.done < whole ? whole : session.done + whole;
    return views.goal;
  });
});
onClick('step', () => trainSome(() => session.done + 1));
onClick('epoch', () => trainSome(() => session.done + session.run!.trainer.leftInEpoch));
onClick('reset', () => inTurn(startOver));

function showButtons(): void {
  const { run, training } = session;
  const enable = (on: boolean, buttons: string) => {
    for (const button of document.querySelectorAll<HTMLButtonElement>(buttons)) {
      button.disabled = !on;
    }
  };
  enable(run !== undefined, '#train, #step, #epoch, #reset, #save-model, #clear, #another, button.icon');
  enable(session.done > 0, '#save-csv');
  // A button that was disabled would lose the focus: Enter would not do the next step.
  for (const id of ['step', 'epoch']) {
    element(id).ariaDisabled = String(training);
  }
  const train = element('train');
  train.querySelector('span')!.textContent = training ? 'Pause' : 'Train';
  train.querySelector('use')!.setAttribute('href', training ? '#icon-pause' : '#icon-train');
}

// Settings

function settingsChanged(settings: Settings, name: SettingName): void {
  history.replaceState(null, '', toAddress(settings));
  if (needRestart.includes(name)) {
    startOrWait();
  } else if (name === 'epochs') {
    // One step or one epoch stays what it is.
    const wholly = session.training && session.goal === views.goal;
    views.goal = Math.max(session.done, session.run?.trainer.stepsOf(settings.epochs) ?? 0);
    if (wholly) {
      session.train(views.goal);
    }
    views.showStatus();
  } else {
    session.change(settings);
  }
}

/** A model that nobody has trained yet is made anew at once; any other stays until the visitor starts over. */
function startOrWait(): void {
  inTurn(async () => {
    const untrained = !made || (session.done === 0 && !made.loaded);
    if (untrained && (!made || waiting().length > 0)) {
      await startOver();
    }
  });
}

/** What waits for a new model. */
function waiting(): string[] {
  if (!made) {
    return [];
  }
  const { settings } = made;
  const differ = needRestart.filter(
    (name) => settingText(settings, name) !== settingText(form.settings, name),
  );
  return [...differ, ...(data === made.data ? [] : ['the data'])];
}

function showWaiting(): void {
  const names = waiting();
  const note = element('restart-note');
  const text =
    names.length > 0
      ? `Changed: ${names.join(', ')}. Press Reset to start over with that.`
      : 'Once a model is trained, these take effect with Reset.';
  // It is announced, but not again after every step.
  if (note.textContent !== text) {
    note.textContent = text;
  }
  note.classList.toggle('pending', names.length > 0);
  element('reset').classList.toggle('pending', names.length > 0);
  element('data').textContent = data ? describeData(data) : '';
  element('digits').hidden = !digits || data === digits;
}

function describeData({ name, rows, in_dims, image_shape }: Dataset): string {
  const values = image_shape ? `${image_shape[0]} × ${image_shape[1]}` : String(in_dims);
  return `${name}: ${rows.toLocaleString('en')} rows of ${values} values`;
}

/** Makes a new model from the settings, or takes a saved one. The model at hand stays where that fails. */
async function startOver(saved?: SavedModel, news?: string): Promise<void> {
  const { settings } = form;
  const wanted = data;
  const rows = wanted && saved ? withModel(wanted, saved) : wanted;
  if (!rows) {
    return;
  }
  forget('trouble');
  try {
    await session.start(settings, rows, saved);
    // Others may have been opened meanwhile.
    data = data === wanted ? rows : data;
    const { h_dims, activation } = session.run!.model.config;
    made = { settings: { ...settings, h_dims, activation }, data: rows, loaded: saved !== undefined };
    // What was changed meanwhile holds.
    session.change(form.settings);
    views.goal = session.run!.trainer.stepsOf(form.settings.epochs);
    if (saved) {
      form.show({ ...form.settings, h_dims, activation });
      history.replaceState(null, '', toAddress(form.settings));
    }
    if (news) {
      tell('news', news);
    }
  } catch (error) {
    views.drawAll();
    tell('trouble', made ? (error as Error).message : whyNoDevice(error));
  }
  showButtons();
  views.showStatus();
}

/** Rows as a saved model takes them: normalised as those that it was trained on. */
function withModel(rows: Dataset, { normalization, image_shape }: SavedModel): Dataset {
  const same =
    !normalization ||
    (normalization.mean === rows.normalization.mean && normalization.std === rows.normalization.std);
  if (same && (rows.image_shape || !image_shape)) {
    return rows;
  }
  return { ...rows, ...(image_shape && { image_shape }), ...(normalization && { normalization }) };
}

// Files

async function open(files: readonly File[]): Promise<void> {
  forget('trouble');
  try {
    const read = await readFiles(files);
    if ('model' in read) {
      const { model } = read;
      inTurn(() => startOver(model, `Opened ${files[0].name}. Training goes on from it.`));
      return;
    }
    data = read.dataset;
    tell('news', `Opened ${describeData(data)}.`);
    startOrWait();
  } catch (error) {
    tell('trouble', (error as Error).message);
  }
}

onDrop((files) => void open(files));
element<HTMLInputElement>('open').addEventListener('change', ({ target }) => {
  const input = target as HTMLInputElement;
  void open([...input.files!]).then(() => {
    input.value = '';
  });
});
onClick('digits', () => {
  data = digits;
  // The button goes.
  element('open').focus({ preventScroll: true });
  startOrWait();
});
onClick('save-csv', () => saveBlob('loss.csv', new Blob([session.history.toCsv()], { type: 'text/csv' })));
onClick('save-model', async () => {
  const { model, trainer, dataset } = session.run!;
  const { normalization, image_shape } = dataset;
  try {
    const bytes = encodeModel({
      config: model.config,
      parameters: await model.parameters(),
      normalization,
      ...(image_shape && { image_shape }),
      training: trainer.config,
    });
    saveBlob('sae.safetensors', new Blob([bytes]));
  } catch (error) {
    tell('trouble', `The model could not be saved: ${(error as Error).message}`);
  }
});

// The page itself

addEventListener('hashchange', () => {
  const { settings, faults } = fromAddress(location.hash);
  form.show(settings);
  for (const name of settingNames) {
    settingsChanged(settings, name);
  }
  if (faults.length > 0) {
    tell('trouble', faults.join(' '));
  }
});

// Meanwhile: whether it can be had is told when the first model is made.
session.open().catch(() => {});
try {
  const response = await fetch(digitsUrl);
  if (!response.ok) {
    throw new Error(`the server answered ${response.status}`);
  }
  digits = await decodeDataset(await response.blob(), 'mnist-10k');
  data ??= digits;
  views.showOriginals(data);
} catch (error) {
  tell(
    'trouble',
    `The digits could not be loaded (${(error as Error).message}). Reload the page, or open rows of your own.`,
  );
}
startOrWait();
await queue;
if (address.faults.length > 0) {
  tell('trouble', `The address asks for what cannot be: ${address.faults.join(' ')}`);
}
