import { z } from 'zod';
import { refuse } from './bytes.js';
import { otherFields, parseFields } from './format.js';

/** What a cfg.json of SAELens says, of whatever version. */
export interface SaelensConfig {
  readonly version: string | undefined;
  readonly kind: 'relu' | 'topk' | 'batchtopk' | 'jumprelu';
  readonly in_dims: number;
  readonly latents: number;
  readonly k: number | undefined;
  readonly pre_bias: boolean;
  /** Whether latents are multiplied by their decoder norms before they are selected. */
  readonly rescaled: boolean;
  /** Whether the model expects its input times a factor that stands in another file. */
  readonly scaled_input: boolean;
  /** Whether a tensor scaling_factor multiplies the latents before the decoder. */
  readonly finetuned: boolean;
  readonly ignored: readonly string[];
}

const count = z.number().int().min(1);
const normalization = z.union([z.string(), z.boolean(), z.null()]).optional();
const versionOf = z.string().nullish();
const version6 = z.object({
  architecture: z.string().default('standard'),
  d_in: count,
  d_sae: count,
  apply_b_dec_to_input: z.boolean().default(true),
  normalize_activations: normalization,
  k: z.number().optional(),
  rescale_acts_by_decoder_norm: z.boolean().default(false),
  metadata: z.object({ sae_lens_version: versionOf }).optional(),
  sae_lens_version: versionOf,
});

const before6 = z.object({
  architecture: z.string().default('standard'),
  d_in: count,
  d_sae: count,
  apply_b_dec_to_input: z.boolean().default(true),
  normalize_activations: normalization,
  activation_fn: z.string().nullish(),
  activation_fn_str: z.string().nullish(),
  activation_fn_kwargs: z.object({ k: z.number().optional() }).nullish(),
  finetuning_scaling_factor: z.boolean().nullish(),
  sae_lens_training_version: versionOf,
});

/** Reads a cfg.json. @throws ModelFileError for what is invalid, and for kinds that cannot be expressed. */
export function parseSaelensConfig(fields: Record<string, unknown>, source: string): SaelensConfig {
  const { metadata, sae_lens_version } = parseFields(
    version6.pick({ metadata: true, sae_lens_version: true }),
    fields,
    source,
  );
  const version = metadata?.sae_lens_version ?? sae_lens_version ?? undefined;
  // Version 6 was the first to name its version, in release candidates too.
  return version !== undefined && Number.parseInt(version, 10) >= 6
    ? parseVersion6(fields, version, source)
    : parseBefore6(fields, source);
}

function parseVersion6(fields: Record<string, unknown>, version: string, source: string): SaelensConfig {
  const config = parseFields(version6, fields, source);
  const { architecture, k, rescale_acts_by_decoder_norm: rescaled } = config;
  const kind = kindOf(architecture, source);
  return {
    version,
    kind,
    k,
    ...shared(config, source),
    rescaled: rescaled && (kind === 'topk' || kind === 'batchtopk'),
    finetuned: false,
    ignored: otherFields(fields, version6),
  };
}

function parseBefore6(fields: Record<string, unknown>, source: string): SaelensConfig {
  const config = parseFields(before6, fields, source);
  const activation = config.activation_fn_str ?? config.activation_fn ?? 'relu';
  if (activation !== 'relu' && activation !== 'topk') {
    refuse(source, `its activation is ${activation}, and relu or topk was expected.`);
  }
  const kind = kindOf(config.architecture, source);
  if (activation === 'topk' && kind !== 'relu' && kind !== 'topk') {
    refuse(source, `its architecture ${config.architecture} has the activation topk, and relu was expected.`);
  }
  return {
    version: config.sae_lens_training_version ?? undefined,
    kind: activation === 'topk' ? 'topk' : kind,
    k: config.activation_fn_kwargs?.k,
    ...shared(config, source),
    rescaled: false,
    finetuned: config.finetuning_scaling_factor === true,
    ignored: otherFields(fields, before6),
  };
}

function kindOf(architecture: string, source: string): SaelensConfig['kind'] {
  switch (architecture) {
    case 'standard':
      return 'relu';
    case 'topk':
    case 'jumprelu':
    case 'batchtopk':
      return architecture;
    // Nested widths are a matter of training: the whole code is made as by BatchTopK.
    case 'matryoshka_batchtopk':
      return 'batchtopk';
    case 'gated':
      return refuse(
        source,
        'its architecture is gated: one path decides which latents are active and another how much, which no single encoder does.',
      );
    default:
      return refuse(
        source,
        `its architecture is ${architecture}; standard, topk, jumprelu, batchtopk or matryoshka_batchtopk was expected.`,
      );
  }
}

function shared(
  config: Pick<
    z.output<typeof version6>,
    'd_in' | 'd_sae' | 'apply_b_dec_to_input' | 'normalize_activations'
  >,
  source: string,
) {
  return {
    in_dims: config.d_in,
    latents: config.d_sae,
    pre_bias: config.apply_b_dec_to_input,
    scaled_input: isScaled(config.normalize_activations, source),
  };
}

function isScaled(normalize: z.output<typeof normalization>, source: string): boolean {
  switch (normalize ?? 'none') {
    case 'none':
    case false:
      return false;
    case 'expected_average_only_in':
    case true:
      return true;
    case 'constant_norm_rescale':
    case 'layer_norm':
      return refuse(
        source,
        `it normalises each input row by itself (normalize_activations ${normalize}), which cannot be folded into weights.`,
      );
    default:
      return refuse(
        source,
        `its normalize_activations is ${normalize}; none or expected_average_only_in was expected.`,
      );
  }
}
