import model from '../../fixtures/synth/model.json' with { type: 'json' };
import scores from '../../fixtures/synth/scores.json' with { type: 'json' };

/** What SAELens computes: `test/fixtures/synth/README.md`. */
export const fixtures = { model, scores };
