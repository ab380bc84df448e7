import { element } from '../browser/page.js';
import { Field } from './field.js';
import { isLive, type Settings, settingOptions, settingText, withSetting } from './settings.js';

/** The form of the settings, which are always valid: an invalid value of a field is not taken over. */
export class SettingsForm {
  #settings: Settings;
  readonly #fields: ReadonlyMap<string, Field>;
  /** The faults of fields, by name. */
  readonly #faults = new Map<string, string>();

  /** @param changed is called with the settings whenever a field has a new valid value. */
  constructor(
    settings: Settings,
    private readonly changed: (settings: Settings, name: string) => void,
  ) {
    this.#settings = settings;
    const form = element('settings');
    form.addEventListener('submit', (event) => event.preventDefault());
    element('explain').addEventListener('change', ({ target }) =>
      form.classList.toggle('explained', (target as HTMLInputElement).checked),
    );
    this.#fields = new Map(
      settingOptions.map((option) => [option.name, new Field(option, () => this.#read(option.name))]),
    );
    // Fields with a slider come first.
    const live = [...this.#fields.values()].filter(({ option }) => isLive(option.name));
    const moving = live.filter(({ place }) => place.classList.contains('slider'));
    element('live-fields').append(...new Set([...moving, ...live].map(({ place }) => place)));
    const others = [...this.#fields.values()].filter(({ option }) => !isLive(option.name));
    element('restart-fields').append(...others.map(({ place }) => place));
    this.show(settings);
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Fills the fields, and shows those that the kind of sparsity has. */
  show(settings: Settings): void {
    this.#settings = settings;
    for (const [name, field] of this.#fields) {
      field.place.hidden = !(name in settings);
      this.#fault(name, '');
      if (name in settings) {
        field.value = settingText(settings, name);
        field.moveSlider(Number(settings[name]), settings.sparsity);
      }
    }
  }

  #read(name: string): void {
    const field = this.#fields.get(name)!;
    try {
      const settings = withSetting(this.#settings, name, field.value);
      if (settings.sparsity !== this.#settings.sparsity) {
        this.show(settings);
      }
      this.#settings = settings;
    } catch (error) {
      this.#fault(name, (error as Error).message);
      return;
    }
    this.#fault(name, '');
    field.moveSlider(Number(this.#settings[name]), this.#settings.sparsity);
    this.changed(this.#settings, name);
  }

  /** Shows the fault of a field; '' for none. */
  #fault(name: string, sentence: string): void {
    const place = element(isLive(name) ? 'live-fault' : 'restart-fault');
    this.#fields.get(name)!.mark(sentence ? place : undefined);
    if (sentence) {
      this.#faults.set(name, sentence);
    } else {
      this.#faults.delete(name);
    }
    const sentences = [...this.#faults].filter(([other]) => isLive(other) === isLive(name));
    place.textContent = sentences.map(([, text]) => text).join(' ');
  }
}
