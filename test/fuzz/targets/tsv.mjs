import { fixture } from '../files.mjs';
import { rowsTarget } from '../rows.mjs';

export default rowsTarget('rows.tsv', () => fixture(['data/**/*.tsv']));
