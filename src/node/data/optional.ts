import { DataError } from '../../sae/errors.js';

/**
 * Loads a package that is not installed with this one, since few need it and it is large.
 * @throws DataError that says how to install it.
 */
export async function optional<T>(
  load: () => Promise<T>,
  { what, install }: { readonly what: string; readonly install: string },
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new DataError(`${what}, and what reads such ones is not installed: npm install ${install}`, {
      cause: error,
    });
  }
}
