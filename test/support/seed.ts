import fc from 'fast-check';

// Random tests draw the same values on every run: what fails here fails elsewhere, and again. A failure tells seed and path.
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 42 });
