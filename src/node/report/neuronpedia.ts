import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { EngineError } from '../../gpu/errors.js';
import { ConfigError } from '../../sae/errors.js';
import {
  exampleGroups,
  examplesOfLatent,
  histogramBins,
  neighboursOfLatent,
  none,
} from '../../sae/insight/report/layout.js';
import type { Report } from '../../sae/insight/report/pack.js';
import { makeFolder } from '../folder.js';
import { writeWhole } from '../write-file.js';

/** Latents of a file, as many as SAEDashboard's batches usually have. */
const latentsOfFile = 128;
/** In the notes of a source: by it, a folder of this program is told from another one. */
const written = 'Written by webgpu-sae';
/** The account that Neuronpedia's own converter of dashboards names by default. */
const creatorId = 'clkht01d40000jv08hvalcvly';

/** What a folder's path says of where Neuronpedia shows a model: MODEL/LAYER-SET. */
interface Place {
  readonly modelId: string;
  readonly sourceId: string;
  readonly setName: string;
}

/**
 * Checks before the work that an export can be written into a folder, whose path must end in MODEL/LAYER-SET.
 * @throws ConfigError if it does not; EngineError if it has other files, or cannot be written.
 */
export async function prepareNeuronpedia(folder: string): Promise<void> {
  placeOf(folder);
  await makeFolder(folder);
  const there = await readdir(folder);
  const notes = await readFile(join(folder, 'source.jsonl'), 'utf8').catch(() => '');
  if (there.length > 0 && !notes.includes(written)) {
    throw new EngineError(
      `The folder ${folder} has files of another program, so nothing is written there. Name another one.`,
    );
  }
}

/**
 * Writes the latents of a report's first model in the layout that Neuronpedia imports: release.jsonl, model.jsonl, sourceset.jsonl and
 * source.jsonl, and gzipped JSON lines of latents in `features` and of their examples in `activations`, in batches. An example is one
 * token: the row's label, or its number.
 * @throws EngineError if a file cannot be written.
 */
export async function writeNeuronpedia(folder: string, report: Report): Promise<void> {
  const { facts } = report;
  const place = placeOf(folder);
  const [{ latents }] = facts.models;
  for (const name of ['features', 'activations']) {
    await makeFolder(join(folder, name));
    // Of an earlier export, which may have had more.
    const batches = (await readdir(join(folder, name))).filter((file) => /^batch-\d+\.jsonl\.gz$/.test(file));
    await Promise.all(batches.map((file) => rm(join(folder, name, file))));
  }
  for (const [name, value] of Object.entries(descriptions(place, report))) {
    await write(join(folder, `${name}.jsonl`), Buffer.from(lines([value])));
  }
  const arrays = arraysOf(report.models[0]);
  const rows = arraysOf(report.rows);
  for (let first = 0, batch = 0; first < latents; first += latentsOfFile, batch++) {
    const some = Array.from({ length: Math.min(latentsOfFile, latents - first) }, (_, i) => first + i);
    const files = {
      features: some.map((latent) => featureOf(latent, place, facts, arrays)),
      activations: some.flatMap((latent) => activationsOf(latent, place, report, arrays, rows)),
    };
    for (const [name, values] of Object.entries(files)) {
      await write(join(folder, name, `batch-${batch}.jsonl.gz`), await promisify(gzip)(lines(values)));
    }
  }
}

type Arrays = ReadonlyMap<string, Float32Array | Uint32Array | Uint8Array>;

function arraysOf(arrays: Report['rows']): Arrays {
  return new Map(arrays.map(({ name, values }) => [name, values]));
}

function placeOf(folder: string): Place {
  const [modelId, sourceId] = [basename(dirname(folder)), basename(folder)];
  const [, setName] = /^\d+-(.+)$/.exec(sourceId) ?? [];
  if (setName === undefined || !/^[\w.-]+$/.test(modelId)) {
    throw new ConfigError(
      `neuronpedia is ${folder}; expected a folder that says where Neuronpedia shows the model, MODEL/LAYER-SET, such as exports/gpt2-small/6-res-mine.`,
    );
  }
  return { modelId, sourceId, setName };
}

function descriptions({ modelId, sourceId, setName }: Place, { facts }: Report): Record<string, object> {
  const { created: createdAt, title, program, rows } = facts;
  const common = { creatorId, createdAt };
  return {
    release: {
      ...common,
      name: setName,
      description: title,
      descriptionShort: title,
      creatorName: program,
      creatorNameShort: program,
      creatorEmail: null,
      urls: [],
      visibility: 'PUBLIC',
      isNewUi: false,
      featured: false,
      defaultSourceSetName: null,
      defaultSourceId: null,
      defaultUmapSourceIds: [],
    },
    model: {
      ...common,
      id: modelId,
      instruct: false,
      displayName: modelId,
      displayNameShort: modelId,
      tlensId: null,
      dimension: rows.in_dims,
      visibility: 'PUBLIC',
      defaultSourceSetName: null,
      defaultSourceId: null,
      inferenceEnabled: false,
      layers: 0,
      neuronsPerLayer: 0,
      owner: '',
      updatedAt: createdAt,
      website: null,
    },
    sourceset: {
      ...common,
      modelId,
      name: setName,
      creatorName: program,
      creatorEmail: null,
      releaseName: setName,
      description: title,
      type: '',
      urls: [],
      visibility: 'PUBLIC',
      hasDashboards: true,
      defaultOfModelId: null,
      defaultRange: 1,
      defaultShowBreaks: true,
      showDfa: false,
      showCorrelated: false,
      showHeadAttribution: false,
      showUmap: false,
    },
    source: {
      ...common,
      id: sourceId,
      modelId,
      setName,
      visibility: 'PUBLIC',
      hasDashboards: true,
      inferenceEnabled: false,
      inferenceHosts: [],
      saelensConfig: null,
      saelensRelease: null,
      saelensSaeId: null,
      hfRepoId: null,
      hfFolderId: null,
      defaultOfModelId: null,
      hasUmap: false,
      hasUmapLogSparsity: false,
      hasUmapClusters: false,
      num_prompts: rows.rows,
      num_tokens_in_prompt: 1,
      dataset: rows.name,
      notes: `${written}.`,
    },
  };
}

/** A latent. What needs a language model or its neurons is empty. */
function featureOf(
  latent: number,
  { modelId, sourceId }: Place,
  { created: createdAt, models: [{ threshold }] }: Report['facts'],
  arrays: Arrays,
): object {
  const max = arrays.get('max')![latent];
  const near = [...rowOf(arrays, 'near_latents', latent, neighboursOfLatent)];
  const known = near.filter((other) => other !== none).length;
  return {
    modelId,
    layer: sourceId,
    index: String(latent),
    creatorId,
    createdAt,
    maxActApprox: max,
    hasVector: false,
    vector: [],
    vectorLabel: null,
    vectorDefaultSteerStrength: max,
    hookName: null,
    topkCosSimIndices: near.slice(0, known),
    topkCosSimValues: [...rowOf(arrays, 'near_cosines', latent, neighboursOfLatent)].slice(0, known),
    neuron_alignment_indices: [],
    neuron_alignment_values: [],
    neuron_alignment_l1: [],
    correlated_neurons_indices: [],
    correlated_neurons_pearson: [],
    correlated_neurons_l1: [],
    correlated_features_indices: [],
    correlated_features_pearson: [],
    correlated_features_l1: [],
    neg_str: [],
    neg_values: [],
    pos_str: [],
    pos_values: [],
    frac_nonzero: arrays.get('density')![latent],
    freq_hist_data_bar_heights: [...rowOf(arrays, 'histogram', latent, histogramBins)],
    freq_hist_data_bar_values: Array.from(
      { length: histogramBins },
      (_, i) => threshold + ((i + 0.5) * (max - threshold)) / histogramBins,
    ),
    logits_hist_data_bar_heights: [],
    logits_hist_data_bar_values: [],
    decoder_weights_dist: [],
  };
}

function activationsOf(
  latent: number,
  { modelId, sourceId }: Place,
  { facts, labels }: Report,
  arrays: Arrays,
  rows: Arrays,
): object[] {
  const places = rowOf(arrays, 'example_rows', latent, examplesOfLatent);
  const values = rowOf(arrays, 'example_values', latent, examplesOfLatent);
  const numbers = rows.get('row_numbers')!;
  let at = 0;
  return exampleGroups.flatMap(({ count }, group) => {
    const some = Array.from({ length: count }, (_, i) => at + i).filter((i) => places[i] !== none);
    at += count;
    const activations = some.map((i) => values[i]);
    // The group of the strongest has no bin.
    const bin =
      group === 0
        ? [-1, -1, -1]
        : [Math.min(...activations), Math.max(...activations), 1 / (exampleGroups.length - 1)];
    return some.map((i) => ({
      id: `${modelId}-${sourceId}-${latent}-${i}`,
      tokens: [labels?.[places[i]] ?? `row ${numbers[places[i]]}`],
      index: String(latent),
      layer: sourceId,
      modelId,
      maxValue: values[i],
      maxValueTokenIndex: 0,
      minValue: values[i],
      values: [values[i]],
      creatorId,
      dataSource: facts.rows.name,
      dataIndex: String(numbers[places[i]]),
      dfaValues: [],
      dfaTargetIndex: null,
      dfaMaxValue: null,
      createdAt: facts.created,
      lossValues: [],
      logitContributions: null,
      binMin: bin[0],
      binMax: bin[1],
      binContains: bin[2],
      qualifyingTokenIndex: 0,
    }));
  });
}

function rowOf(arrays: Arrays, name: string, latent: number, columns: number) {
  return arrays.get(name)!.subarray(latent * columns, (latent + 1) * columns);
}

function lines(values: readonly object[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}

async function write(file: string, content: Uint8Array): Promise<void> {
  await writeWhole(
    file,
    [content],
    (why, cause) => new EngineError(`${file} cannot be written: ${why}.`, { cause }),
  );
}
