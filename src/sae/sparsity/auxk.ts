import { ConfigError } from '../errors.js';
import { choice, number, option, whole } from '../options.js';
import { checkLists, hasLists, type ModelShape } from './sparsity.js';

/** What differs between AuxK's losses. */
export interface AuxkLoss {
  /** Pre-activations as they are, so that latents below 0 in all rows are revived, too; else what the ReLU leaves of them. */
  readonly signed: boolean;
  /** Whether the batch counts when latents are counted as dead: after `dead_after` rows with it, or after more than those before it. */
  readonly counted: boolean;
  /** Above which a latent counts as active. */
  readonly active_above: number;
  /**
   * Whether the squared errors are divided by the squared distances of what they are to reconstruct from its mean over the batch; else they count as
   * those of the rows do (`reconstruction`), times min(dead latents / auxk_k, 1).
   */
  readonly relative: boolean;
  /** Whether the output's bias is `added` to what latents reconstruct; or on both sides, so that it is only `trained`. */
  readonly bias: 'none' | 'trained' | 'added';
  /** Whether the gradient reaches the encoder. */
  readonly trains_encoder: boolean;
  /** The default of `auxk_alpha`. */
  readonly weight: number;
}

/** Each as the code of the library of that name has it. */
export const auxkLosses = {
  dictionary_learning: {
    signed: false,
    counted: true,
    active_above: 0,
    relative: true,
    bias: 'none',
    trains_encoder: true,
    weight: 1 / 32,
  },
  openai: {
    signed: false,
    counted: true,
    active_above: 1e-3,
    relative: true,
    bias: 'trained',
    trains_encoder: true,
    weight: 1 / 32,
  },
  saelens: {
    signed: true,
    counted: false,
    active_above: 0,
    relative: false,
    bias: 'none',
    trains_encoder: true,
    weight: 1,
  },
  // The fused encoder drops the gradient of what it did not select.
  sparsify: {
    signed: false,
    counted: false,
    active_above: 0,
    relative: false,
    bias: 'added',
    trains_encoder: false,
    weight: 1 / 32,
  },
} as const satisfies Readonly<Record<string, AuxkLoss>>;

export type AuxkName = keyof typeof auxkLosses;
const names = Object.keys(auxkLosses) as [AuxkName, ...AuxkName[]];
/** The one that revives latents which are above 0 for no row. */
const standardLoss: AuxkName = 'saelens';

/**
 * For kinds that select latents: AuxK (Gao et al., 2024, section A.2). Dead latents, the auxk_k largest of each row, reconstruct e,
 * what the row's own reconstruction lacks; the term is their squared error, and e is a constant in it. `auxk_loss` says what else it
 * is, as the code of one of these has it:
 *
 * - dictionary_learning (60ec6bf): sum |e^ - e|^2 / sum |e - mean e|^2, where e^ has no bias. A latent is dead if it was active in none of
 *   the last dead_after rows, those of the batch included.
 * - openai (sparse_autoencoder, 4965b94): the same, with the output's bias on both sides, of which that in e^ is trained; a latent counts as active above 1e-3.
 * - saelens (6.39): min(dead latents / auxk_k, 1) sum |e^ - e|^2 / rows, where e^ is of pre-activations without the ReLU, so that what is below 0
 *   everywhere comes back, too; dead are latents that were active in none of more than dead_after rows before the batch.
 * - sparsify (9d3b136): min(dead latents / auxk_k, 1) sum |e^ - e|^2 / sum |x - mean x|^2 with `reconstruction` fvu, where the output's bias is in e^ and
 *   no gradient reaches the encoder; dead as for saelens.
 *
 * The last two divide as `reconstruction` says. The default of `auxk_alpha` is each library's own; of sparsify's, which is 0, that of the paper.
 */
export const auxk = {
  live: {
    auxk_alpha: option(
      number('auxk_alpha', 'of at least 0', (value) => value >= 0).default(auxkLosses[standardLoss].weight),
      {
        description: "weight of AuxK's loss; with another auxk_loss than saelens 1/32 by default",
        label: "AuxK's weight",
        slider: [1e-3, 1],
      },
    ),
  },
  fixed: {
    auxk_loss: option(choice('auxk_loss', names).default(standardLoss), {
      description: `whose form of AuxK's loss: ${names.join(', ')}`,
      label: "AuxK's form",
    }),
    auxk_k: option(whole('auxk_k', 1).optional(), {
      description:
        'dead latents of a row in AuxK, at most (default: 4 k, or half of in_dims if that is less)',
      label: 'Dead latents a row in AuxK',
    }),
  },
  term: { name: 'auxk', weight: 'auxk_alpha' },
} as const;

/** For kinds with AuxK: `auxk_alpha` is that of the given form; nothing is revived where the model does not allow it. */
export function auxkDefaults(
  { auxk_loss }: Readonly<Record<string, unknown>>,
  model: ModelShape | undefined,
): Readonly<Record<string, unknown>> {
  const loss = names.find((name) => name === auxk_loss);
  return {
    ...(loss && { auxk_alpha: auxkLosses[loss].weight }),
    ...(model && !hasLists(model) && { revive: 'none' }),
  };
}

export interface AuxkOptions {
  readonly revive?: string;
  readonly auxk_k?: number | undefined;
  readonly auxk_loss?: AuxkName;
}

/** @throws ConfigError for options of AuxK without it, and for it with several layers. */
export function checkAuxk(
  { revive = 'none', auxk_k, auxk_loss = standardLoss }: AuxkOptions,
  model: ModelShape | undefined,
): void {
  const given = { ...(auxk_k !== undefined && { auxk_k }), ...(auxk_loss !== standardLoss && { auxk_loss }) };
  const [first] = Object.entries(given);
  if (first && revive !== 'auxk') {
    const [name, value] = first;
    throw new ConfigError(
      `${name} is ${value}, and revive is ${revive}. Set revive to auxk, or leave it out.`,
    );
  }
  if (revive === 'auxk') {
    checkLists('revive auxk', model);
  }
}
