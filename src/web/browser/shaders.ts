import type { ShaderLoader } from '../../sae/index.js';

const texts: Record<string, string> = import.meta.glob('../../../shaders/*/*.wgsl', {
  query: '?raw',
  import: 'default',
  eager: true,
});

/** Returns the text of a file in `shaders/`; the build includes them in the page's script. */
export const loadShader: ShaderLoader = (file) => texts[`../../../shaders/${file}`];
