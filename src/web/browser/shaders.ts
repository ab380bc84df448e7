import type { ShaderLoader } from '../../sae/index.js';

const texts: Record<string, string> = import.meta.glob('../../../shaders/*/*.wgsl', {
  query: '?raw',
  import: 'default',
  eager: true,
});

/** SHA-256 of all of them, in their order, in hexadecimal digits. */
export async function shadersHash(): Promise<string> {
  const all = new TextEncoder().encode(Object.values(texts).join('\n'));
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Returns the text of a file in `shaders/`; the build includes them in the page's script. */
export const loadShader: ShaderLoader = (file) => texts[`../../../shaders/${file}`];
