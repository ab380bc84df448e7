import { fixture } from '../files.mjs';
import { rowsTarget } from '../rows.mjs';

export default rowsTarget('rows.npz', () => fixture(['data/**/*.npz', 'rows/**/*.npz']));
