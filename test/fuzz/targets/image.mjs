import { fixture } from '../files.mjs';
import { rowsTarget } from '../rows.mjs';

export default rowsTarget('rows.png', () => fixture(['rows/**/*.{png,jpg,jpeg,gif,webp,tif,tiff,avif}']));
