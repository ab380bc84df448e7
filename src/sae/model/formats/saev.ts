import { z } from 'zod';
import { otherFields, parseFields, type SaeFormat } from './format.js';
import { importedSae, type RawSae } from './imported.js';
import type { Weights } from './weights.js';

/** The version of the line of JSON that is known; before it BatchTopK meant the k largest of each row. */
const schemaVersion = 5;

const fieldsOf = z.object({
  d_model: z.number().int().min(1),
  d_sae: z.number().int().min(1),
  activation: z.object({ cls: z.string(), params: z.looseObject({ top_k: z.number().optional() }) }),
});
const schema = z.object({
  schema: z.unknown(),
  cfg: z.unknown(),
  lib: z.string().optional(),
});
type Activation = z.output<typeof fieldsOf>['activation'];

/** saev: https://github.com/OSU-NLP-Group/saev. W_enc [d_model, d_sae], W_dec [d_sae, d_model]. */
export const saev: SaeFormat = {
  tool: 'saev',
  files: 'a .pt file that begins with a line of JSON',
  async recognizes(folder) {
    return (await folder.onlyWeights())?.head !== undefined;
  },
  async read(folder) {
    const tensors = (await folder.onlyWeights())!;
    const head = parseFields(schema, tensors.head, tensors.file);
    if (head.schema !== schemaVersion) {
      tensors.fail(
        `its first line is of schema ${JSON.stringify(head.schema) ?? 'none'}, and ${schemaVersion} was expected. Load and save it ` +
          'with a newer saev.',
      );
    }
    const fields = parseFields(z.looseObject(fieldsOf.shape), head.cfg, tensors.file);
    const { d_model: in_dims, d_sae: latents } = fields;
    const notes: string[] = [];
    return importedSae(
      {
        tool: 'saev',
        ...(head.lib !== undefined && { tool_version: head.lib }),
        weights: {
          W_enc: await tensors.readTransposed('W_enc', [latents, in_dims]),
          b_enc: await tensors.read('b_enc', [latents]),
          W_dec: await tensors.read('W_dec', [latents, in_dims]),
          b_dec: await tensors.read('b_dec', [in_dims]),
        },
        pre_bias: false,
        activation: await readActivation(tensors, fields.activation, notes),
        notes,
        ignored: [...otherFields(fields, fieldsOf), ...tensors.passedOver],
      },
      tensors.file,
    );
  },
};

async function readActivation(
  tensors: Weights,
  { cls, params }: Activation,
  notes: string[],
): Promise<RawSae['activation']> {
  switch (cls) {
    case 'Relu':
      return { kind: 'relu' };
    case 'TopK':
      notes.push(
        'saev keeps the k largest values of a row even where they are negative; here such values become 0, in rows with fewer than k ' +
          'positive ones.',
      );
      return { kind: 'topk', k: params.top_k ?? tensors.fail('its activation has no top_k.') };
    case 'BatchTopK': {
      const threshold = await tensors.readNumber('activation.threshold');
      if (threshold <= 0) notes.push('Its threshold was never set: every positive latent is kept.');
      return { kind: 'batchtopk', threshold, ...(params.top_k !== undefined && { k: params.top_k }) };
    }
    default:
      return tensors.fail(`its activation is ${cls}; Relu, TopK or BatchTopK was expected.`);
  }
}
