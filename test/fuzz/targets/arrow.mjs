import { fixture } from '../files.mjs';
import { rowsTarget } from '../rows.mjs';

export default rowsTarget('rows.arrow', () => fixture(['tables/**/*.{arrow,arrows,feather,stream}']));
