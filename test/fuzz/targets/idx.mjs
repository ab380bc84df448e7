import { fixture } from '../files.mjs';
import { rowsTarget } from '../rows.mjs';

export default rowsTarget('rows.idx', () => fixture(['data/**/*.idx?', 'data/**/*ubyte']));
