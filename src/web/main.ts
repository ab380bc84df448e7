import './browser/csp.js';
import {
  DataError,
  encodeModel,
  imageShape,
  type NamedBlob,
  type ReportData,
  rowFormatNames,
  type SavedModel,
  sameNormalization,
  savedModel,
  sizesInWords,
} from '../sae/index.js';
import { named, onDrop, readFiles, saveBlob } from './browser/files.js';
import { element, forget, onClick, showText, tell } from './browser/page.js';
import { reportOf, showReport } from './browser/report.js';
import { AdapterCheck } from './session/adapter-check.js';
import { loadDataset } from './session/datasets.js';
import { Keeping, type KeptTraining } from './session/keeping.js';
import { Session } from './session/session.js';
import { relabelled, type ShownRows } from './session/shown-rows.js';
import { SettingsForm } from './settings/form.js';
import {
  type DatasetName,
  datasetNames,
  fromAddress,
  isLive,
  modelSettings,
  type Settings,
  settingText,
  standards,
  toAddress,
} from './settings/settings.js';
import { whyNoDevice } from './views/status.js';
import { showTransport } from './views/transport.js';
import { Views } from './views/views.js';

/** The built-in data that the visitor has chosen; undefined where the rows are the visitor's own. */
let chosen: DatasetName | undefined;
/** The rows for the next model. */
let data: ShownRows | undefined;
/** What the current model was made from. */
let made: { settings: Settings; data: ShownRows; loaded: boolean } | undefined;

const session = new Session({
  prepared: (samples, dataset) => views.showFirst(samples, dataset),
  replaced: () => views.drawAll(),
  trained: () => {
    // After the first step.
    checkAdapter();
    element<HTMLButtonElement>('save-csv').disabled = false;
    views.drawTrained();
  },
  changed: () => {
    views.showStatus();
    views.drawAll();
    showButtons();
  },
  failed: (sentence) => tell('trouble', sentence),
  recovered: (sentence) => tell('news', sentence),
  copied: (snapshot, { dataset }, still) => {
    const { points } = session.history;
    const page = () => ({ address: toAddress(form.settings, chosen), rows: dataset.name, points });
    void adapterCheck.done.then(() => {
      if (!adapterCheck.wrong) keeping.keep(snapshot, dataset, page, still);
    });
  },
});
const adapterCheck = new AdapterCheck((sentence) => {
  asked = undefined;
  void session.pause();
  showButtons();
  tell('trouble', sentence);
});
const keeping = new Keeping();
const views = new Views(session);
const address = fromAddress(location.hash);
const form = new SettingsForm(address.settings, settingsChanged);

// Training

let queue = Promise.resolve();

/** Runs work after the work before: new models are made one after another. */
function inTurn(work: () => Promise<void>): void {
  queue = queue.then(work).then(showWaiting);
}

/** Whether a model is being made, as one is from the start. */
let preparing = true;
/** Which request to train is waiting for the model; undefined if none is. */
let asked: symbol | undefined;

/** Trains the model; if a new one is being made, that one, unless the visitor thinks better of it. */
function train(goal: () => number): void {
  const request = Symbol();
  asked = request;
  if (preparing) {
    showButtons();
  }
  inTurn(async () => {
    if (asked !== request) {
      return;
    }
    asked = undefined;
    if (adapterCheck.wrong) {
      tell('trouble', adapterCheck.wrong);
    } else if (session.run) {
      forget('trouble');
      session.train(goal());
    }
    showButtons();
  });
}

/** Trains, unless the model is already being trained, or is about to. */
function trainSome(goal: () => number): void {
  if (!session.training && !asked) {
    train(goal);
  }
}

/** Checks the adapter for what it is used for now. */
function checkAdapter(): void {
  if (session.run) {
    adapterCheck.begin(session.run);
  }
}

onClick('train', () => {
  if (asked) {
    asked = undefined;
    showButtons();
    return;
  }
  if (session.training) {
    void session.pause();
    return;
  }
  train(() => {
    const whole = session.run!.trainer.stepsOf(form.settings.epochs);
    // A model that is fully trained is trained for as many epochs again.
    views.goal = session.done < whole ? whole : session.done + whole;
    return views.goal;
  });
});
onClick('step', () => trainSome(() => session.done + 1));
onClick('epoch', () => trainSome(() => session.done + session.run!.trainer.leftInEpoch));
onClick('reset', () => inTurn(startOver));

function showButtons(): void {
  showTransport(session, { preparing, asked: asked !== undefined });
}

// Settings

function showAddress(): void {
  history.replaceState(null, '', toAddress(form.settings, chosen));
}

function settingsChanged(settings: Settings, name: string): void {
  showAddress();
  if (!isLive(name)) {
    startOrWait();
  } else if (name === 'epochs') {
    // The goal of "One step" or "One epoch" stays the same.
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

/** Replaces an untrained model at once; a trained or opened one stays until the visitor presses Reset. */
function startOrWait(): void {
  inTurn(async () => {
    const untrained = !made || (session.done === 0 && !made.loaded);
    if (untrained && (!made || waiting().length > 0)) {
      await startOver();
    }
  });
}

/** The changes that need a new model. */
function waiting(): string[] {
  if (!made) {
    return [];
  }
  const { settings } = made;
  const differ = Object.keys(form.settings).filter(
    (name) => !isLive(name) && settingText(settings, name) !== settingText(form.settings, name),
  );
  return [...differ, ...(data === made.data ? [] : ['the data'])];
}

function showWaiting(): void {
  const names = waiting();
  const note = element('restart-note');
  const text =
    names.length > 0
      ? `Changed: ${names.join(', ')}. Press Reset to start over with the changes.`
      : 'Once a model is trained, these take effect with Reset.';
  showText('restart-note', text);
  note.classList.toggle('pending', names.length > 0);
  element('reset').classList.toggle('pending', names.length > 0);
  const strips = data && !imageShape(data) && !data.labels ? `. ${notImages}` : '';
  element('data').textContent = data ? describeData(data) + strips : '';
}

/** For rows that neither their file nor the model describes as images. */
const notImages = 'They are drawn as strips; a file of 8-bit [rows, height, width] is drawn as images.';

function describeData({ name, rows, in_dims, image_shape, labels, all }: ShownRows): string {
  const values = image_shape ? image_shape.join(' × ') : String(in_dims);
  const labelledToo = labels ? ', with labels' : '';
  const read = all ? ', read from the disk while it trains' : '';
  return `${name}: ${(all?.rows ?? rows).toLocaleString('en')} rows of ${values} values${labelledToo}${read}`;
}

/** Makes a new model from the settings, or uses a saved one. If that fails, the current model stays. */
async function startOver(saved?: SavedModel, news?: string): Promise<void> {
  const { settings } = form;
  const wanted = data;
  const rows = wanted && saved ? withModel(wanted, saved) : wanted;
  if (!rows) {
    preparing = false;
    showButtons();
    return;
  }
  preparing = true;
  showButtons();
  forget('trouble');
  try {
    await session.start(settings, rows, saved);
    // Other rows may have been opened meanwhile.
    data = data === wanted ? rows : data;
    const own = modelSettings(session.run!.model.config);
    made = { settings: { ...settings, ...own }, data: rows, loaded: saved !== undefined };
    // Settings may have been changed meanwhile.
    session.change(form.settings);
    views.goal = session.run!.trainer.stepsOf(form.settings.epochs);
    if (saved) {
      form.show({ ...form.settings, ...own });
      showAddress();
    }
    if (news) {
      tell('news', news);
    }
  } catch (error) {
    views.drawAll();
    if (saved) forget('news');
    tell('trouble', made ? (error as Error).message : whyNoDevice(error));
  }
  preparing = false;
  showButtons();
  views.showStatus();
  // What is to be trained at once is trained first.
  if (!asked) {
    checkAdapter();
  }
}

/** Rows for a saved model: with the normalisation of its training rows. */
function withModel(
  rows: ShownRows,
  { normalization, image_shape }: Pick<SavedModel, 'normalization' | 'image_shape'>,
): ShownRows {
  const same = !normalization || sameNormalization(normalization, rows.normalization);
  if (same && (rows.image_shape || !image_shape)) {
    return rows;
  }
  const own = { ...(image_shape && { image_shape }), ...(normalization && { normalization }) };
  return { ...rows, ...own, ...(rows.all && { all: { ...rows.all, ...own } }) };
}

// Files

async function open(files: readonly NamedBlob[]): Promise<void> {
  forget('trouble');
  try {
    const read = await readFiles(files, element<HTMLInputElement>('tensor').value.trim() || undefined);
    if ('model' in read) {
      const { model } = read;
      tell('news', `Opening ${files[0].name}: the model goes to the device ...`, {});
      inTurn(() => startOver(model, `Opened ${files[0].name}. Training goes on from it.`));
      return;
    }
    if ('report' in read) {
      offerReport(read.report, files[0].name);
      return;
    }
    if ('labels' in read) {
      inTurn(async () => label(read.labels, files[0].name));
      return;
    }
    if (awaited && (await keeping.fingerprint(read.dataset)) === awaited.saved.fingerprint) {
      const kept = awaited;
      inTurn(() => goOn(kept, read.dataset));
      return;
    }
    data = read.dataset;
    choose(undefined);
    showAddress();
    tell('news', `Opened ${describeData(data)}.`);
    startOrWait();
  } catch (error) {
    tell('trouble', (error as Error).message);
  }
}

/** Browsers open a tab only where the visitor has pressed something. */
function offerReport(report: ReportData, file: string): void {
  const { title, models } = report.facts;
  const of =
    models.length === 1 ? `${models[0].latents.toLocaleString('en')} latents` : `${models.length} models`;
  const show = () => {
    try {
      showReport(report);
    } catch (error) {
      tell('trouble', (error as Error).message);
    }
  };
  tell('news', `Opened ${file}, a report of ${of}: “${title}”.`, {
    'Show it in a tab': show,
    Dismiss: () => {},
  });
}

/** Gives the rows at hand other labels, which needs no new model. */
function label(labels: readonly string[], file: string): void {
  try {
    if (!data) {
      throw new DataError(`${file} has labels, and there are no rows yet. Open rows first.`);
    }
    const before = data;
    data = relabelled(before, labels, file);
    if (made?.data === before) {
      made = { ...made, data };
      session.relabel(data);
      views.drawAll();
    }
    tell('news', `Opened the labels of ${describeData(data)}.`);
  } catch (error) {
    tell('trouble', (error as Error).message);
  }
}

function choose(name: DatasetName | undefined): void {
  chosen = name;
  element<HTMLSelectElement>('dataset').value = name ?? '';
}

/** Takes built-in data for the next model. */
function load(name: DatasetName): void {
  const before = chosen;
  choose(name);
  inTurn(async () => {
    if (chosen !== name) {
      return;
    }
    try {
      const rows = await loadDataset(name);
      // Rows may have been opened meanwhile.
      if (chosen === name) {
        data = rows;
        if (!made) {
          views.showOriginals(rows);
        }
      }
    } catch (error) {
      if (chosen === name) {
        choose(before);
        showAddress();
      }
      tell(
        'trouble',
        `${name} could not be loaded (${(error as Error).message}). Choose it again, or open rows of your own.`,
      );
    }
  });
}

onDrop((files) => void open(files));
element<HTMLInputElement>('open').addEventListener('change', ({ target }) => {
  const input = target as HTMLInputElement;
  void open(named(input.files!)).then(() => {
    input.value = '';
  });
});
element('dataset').addEventListener('change', ({ target }) => {
  const name = (target as HTMLSelectElement).value as DatasetName;
  const isStandard = Object.values(standards).some(
    (own) => toAddress(own, name) === toAddress(form.settings, name),
  );
  // What the visitor has set stays.
  if (isStandard) {
    form.show(standards[name]);
  }
  load(name);
  showAddress();
  startOrWait();
  if (made && (session.done > 0 || made.loaded)) {
    // What shows it otherwise may be out of sight.
    tell(
      'news',
      `${name} is chosen. Press Reset to start a new model of it; the present one stays until then.`,
    );
  }
});
onClick('save-csv', () => saveBlob('loss.csv', new Blob([session.history.toCsv()], { type: 'text/csv' })));
onClick('save-model', async () => {
  const { model, trainer, dataset } = session.run!;
  try {
    const bytes = encodeModel(await savedModel(model, dataset, trainer.config));
    saveBlob('sae.safetensors', new Blob([bytes]));
  } catch (error) {
    tell('trouble', `The model could not be saved: ${(error as Error).message}`);
  }
});

onClick('save-report', async () => {
  const button = element<HTMLButtonElement>('save-report');
  button.disabled = true;
  try {
    let current: string | undefined;
    const progress = (what: string) => {
      if (what !== current) tell('news', `A report is being made: ${what} ...`);
      current = what;
    };
    await session.still(async () => {
      saveBlob('report.html', await reportOf(session.run!, session, progress));
    });
    tell('news', 'The report is saved as report.html; open it in a browser, also offline.');
  } catch (error) {
    tell('trouble', `The report could not be made: ${(error as Error).message}`);
  } finally {
    button.disabled = !session.run;
  }
});

// A training that was kept

/** The training that goes on as soon as the visitor has opened its rows again. */
let awaited: KeptTraining | undefined;

/** Asks whether a training goes on that an earlier visit has left. */
async function offerKept(): Promise<void> {
  const kept = await keeping.earlier();
  if (!kept) return;
  const { snapshot } = kept.saved;
  const steps = snapshot.done.toLocaleString('en');
  tell(
    'kept',
    `This browser has kept your last training: ${sizesInWords(snapshot.model)} on ${kept.page.rows}, after ${steps} steps.`,
    { 'Go on with it': () => void takeUp(kept), 'Forget it': () => void keeping.forget() },
  );
}

async function takeUp(kept: KeptTraining): Promise<void> {
  const { dataset } = fromAddress(kept.page.address);
  if (dataset) {
    inTurn(async () => goOn(kept, await loadDataset(dataset)));
    return;
  }
  awaited = kept;
  tell('kept', `Open ${kept.page.rows} again, as then: the training goes on with its rows.`, {
    'Forget it': () => {
      awaited = undefined;
      void keeping.forget();
    },
  });
}

/** Goes on with a training as it was kept. */
async function goOn({ saved, page }: KeptTraining, rows: ShownRows): Promise<void> {
  const { snapshot, normalization, image_shape } = saved;
  const { settings, dataset } = fromAddress(page.address);
  preparing = true;
  showButtons();
  forget('kept');
  try {
    const own = withModel(rows, { normalization, ...(image_shape && { image_shape }) });
    await session.goOn(snapshot, own, page.points);
    awaited = undefined;
    keeping.answered();
    choose(dataset);
    data = own;
    made = { settings: { ...settings, ...modelSettings(snapshot.model) }, data, loaded: false };
    form.show(made.settings);
    showAddress();
    views.goal = Math.max(session.done, session.run!.trainer.stepsOf(form.settings.epochs));
    tell('news', `The training goes on after step ${snapshot.done.toLocaleString('en')}. Press Train.`);
  } catch (error) {
    tell('trouble', `The training cannot go on: ${(error as Error).message}`);
  }
  preparing = false;
  showButtons();
  views.showStatus();
}

// The page itself

addEventListener('hashchange', () => {
  const { settings, dataset, faults } = fromAddress(location.hash);
  form.show(settings);
  // Rows of the visitor's own, which no address has, stay.
  if (dataset ?? chosen) {
    load(dataset ?? 'mnist-10k');
  }
  for (const name of Object.keys(settings)) {
    settingsChanged(settings, name);
  }
  void tellFaults(faults);
});

/** Reports invalid settings in the address once the new model is there, since that removes messages. */
async function tellFaults(faults: readonly string[]): Promise<void> {
  await queue;
  if (faults.length > 0) {
    tell('trouble', `The address has invalid settings: ${faults.join(' ')}`);
  }
}

// A safetensors file that is opened here is a model, and images are named by themselves.
const rowsHere = rowFormatNames.filter((name) => !['safetensors', 'image'].includes(name));
element('formats').textContent = new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(rowsHere);
element('dataset').append(...datasetNames.map((name) => new Option(name)));

showButtons();
// A failure is reported when the first model is made.
session.open().catch(() => {});
load(address.dataset ?? 'mnist-10k');
startOrWait();
void offerKept();
await tellFaults(address.faults);
