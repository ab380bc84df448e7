import type { z } from 'zod';
import { refuse } from './bytes.js';
import type { ModelFolder } from './folder.js';
import type { ImportedSae } from './imported.js';

/** How one program saves sparse autoencoders. */
export interface SaeFormat {
  /** The program's name. */
  readonly tool: string;
  /** Its files in messages: `cfg.json with sae_weights.safetensors`. */
  readonly files: string;
  /** Whether these files are that program's. @throws ModelFileError if a file that has to be looked into is damaged. */
  recognizes(folder: ModelFolder): Promise<boolean>;
  /** @throws ModelFileError for what is damaged, and for what this project's formula cannot express. */
  read(folder: ModelFolder): Promise<ImportedSae>;
}

/** Reads a configuration by its schema. @throws ModelFileError that names the field. */
export function parseFields<T>(schema: z.ZodType<T>, fields: unknown, source: string): T {
  const { success, data, error } = schema.safeParse(fields);
  if (success) return data;
  const [{ path, message }] = error.issues;
  return refuse(source, `its field ${path.join('.')} is invalid: ${message}.`);
}

/** The names of fields that a schema does not have. */
export function otherFields(fields: Readonly<Record<string, unknown>>, schema: z.ZodObject): string[] {
  return Object.keys(fields).filter((name) => !Object.hasOwn(schema.shape, name));
}
