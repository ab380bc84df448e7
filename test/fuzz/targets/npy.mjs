import { fixture } from '../files.mjs';
import { rowsTarget } from '../rows.mjs';

export default rowsTarget('rows.npy', () => fixture(['data/**/*.npy']));
