import { fixture } from '../files.mjs';
import { rowsTarget } from '../rows.mjs';

export default rowsTarget('rows.safetensors', () => fixture(['data/**/*.safetensors']));
