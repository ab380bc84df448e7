import wordsUrl from '../../../data/words-10k.npy?url';
import labelsUrl from '../../../data/words-10k.txt?url';
import digitsUrl from '../../../dist/data/mnist-10k.idx.gz?url';
import { type Dataset, decodeDataset, decodeLabels, labelled } from '../../sae/index.js';
import type { DatasetName } from '../settings/settings.js';

const loaders: Readonly<Record<DatasetName, (name: string) => Promise<Dataset>>> = {
  'mnist-10k': async (name) => decodeDataset(await fetched(digitsUrl), name),
  'words-10k': async (name) => {
    const [rows, words] = await Promise.all([fetched(wordsUrl), fetched(labelsUrl)]);
    const labels = `the labels of ${name}`;
    return labelled(await decodeDataset(rows, name), await decodeLabels(words, labels), labels);
  },
};

const loaded = new Map<DatasetName, Dataset>();

/** Built-in data, fetched when it is asked for first. @throws Error. */
export async function loadDataset(name: DatasetName): Promise<Dataset> {
  const rows = loaded.get(name) ?? (await loaders[name](name));
  loaded.set(name, rows);
  return rows;
}

async function fetched(url: string): Promise<Blob> {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(`the server answered ${response.status}`);
  }
  return response.blob();
}
