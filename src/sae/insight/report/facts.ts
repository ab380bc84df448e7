import type { ModelConfig, TrainConfig } from '../../config.js';
import { sizesInWords } from '../../model/layers.js';
import type { SparsityName } from '../../sparsity/index.js';
import type { ReportedModel } from './layout.js';

/** What a model and the options of its training are, as names and values. */
export function modelFacts(
  config: ModelConfig,
  parameters: number,
  training: Partial<TrainConfig<SparsityName>> | undefined,
): [...ReportedModel['facts']] {
  const facts: [string, string][] = [
    ['model', `${sizesInWords(config)}, ${config.activation}, ${parameters.toLocaleString('en')} parameters`],
  ];
  if (training?.sparsity) {
    const { sparsity, ...options } = training;
    facts.push(['sparsity', sparsity]);
    facts.push(['options', Object.entries(options).map(inWords).join(', ')]);
  }
  return facts;
}

function inWords([name, value]: readonly [string, unknown]): string {
  return `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`;
}
