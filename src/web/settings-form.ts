import { element } from './page.js';
import {
  needRestart,
  type SettingName,
  type Settings,
  settingNames,
  settingText,
  withSetting,
} from './settings.js';

/** Where the sliders stop: the usual steps of 1, 2 and 5. Anything else can be typed. */
const stops: Partial<Record<SettingName, readonly number[]>> = {
  lr: [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1],
  sparsity_lambda: [0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
  sparsity_target: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9],
};

/** The fields: what they say at any moment are settings that make sense. */
export class SettingsForm {
  #settings: Settings;
  /** What is wrong with fields. */
  readonly #faults = new Map<SettingName, string>();

  /** @param changed is told the settings whenever a field has been given a new value that makes sense. */
  constructor(
    settings: Settings,
    private readonly changed: (settings: Settings, name: SettingName) => void,
  ) {
    this.#settings = settings;
    element('settings').addEventListener('submit', (event) => event.preventDefault());
    for (const name of settingNames) {
      this.#field(name).addEventListener('change', () => this.#read(name));
      const slider = this.#slider(name);
      if (slider) {
        slider.min = '0';
        slider.max = String(stops[name]!.length - 1);
        slider.addEventListener('input', () => {
          this.#field(name).value = String(stops[name]![slider.valueAsNumber]);
          this.#read(name);
        });
      }
    }
    this.show(settings);
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Fills the fields. */
  show(settings: Settings): void {
    this.#settings = settings;
    for (const name of settingNames) {
      this.#field(name).value = settingText(settings, name);
      this.#fault(name, '');
      this.#moveSlider(name);
    }
  }

  #field(name: SettingName): HTMLInputElement | HTMLSelectElement {
    return element<HTMLInputElement>(name);
  }

  #slider(name: SettingName): HTMLInputElement | null {
    return document.querySelector(`input[data-for="${name}"]`);
  }

  #read(name: SettingName): void {
    try {
      this.#settings = withSetting(this.#settings, name, this.#field(name).value);
    } catch (error) {
      this.#fault(name, (error as Error).message);
      return;
    }
    this.#fault(name, '');
    this.#moveSlider(name);
    this.changed(this.#settings, name);
  }

  #moveSlider(name: SettingName): void {
    const slider = this.#slider(name);
    if (slider) {
      const value = Number(this.#settings[name]);
      const next = stops[name]!.findIndex((stop) => stop >= value);
      slider.value = String(next < 0 ? stops[name]!.length - 1 : next);
      slider.setAttribute('aria-valuetext', String(value));
    }
  }

  /** Shows what is wrong with a field, or with '' that nothing is. */
  #fault(name: SettingName, sentence: string): void {
    const field = this.#field(name);
    const restart = needRestart.includes(name);
    const place = element(restart ? 'restart-fault' : 'live-fault');
    if (sentence) {
      this.#faults.set(name, sentence);
      field.setAttribute('aria-invalid', 'true');
      field.setAttribute('aria-describedby', place.id);
    } else {
      this.#faults.delete(name);
      field.removeAttribute('aria-invalid');
      field.removeAttribute('aria-describedby');
    }
    const sentences = [...this.#faults].filter(([other]) => needRestart.includes(other) === restart);
    place.textContent = sentences.map(([, text]) => text).join(' ');
  }
}
