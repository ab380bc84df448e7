import type { EngineOption, Option } from '../../sae/index.js';

/** A labelled field for one option, with a slider if the option has stops. */
export class Field {
  readonly place = document.createElement('div');
  readonly #input: HTMLInputElement | HTMLSelectElement;
  readonly #slider: HTMLInputElement | undefined;
  #stops: readonly number[] = [];

  /** @param changed is called whenever the visitor has set a new value. */
  constructor(
    readonly option: EngineOption,
    changed: () => void,
  ) {
    const { name, label: words, kind, description } = option;
    const label = document.createElement('label');
    const code = document.createElement('code');
    code.textContent = name;
    label.htmlFor = name;
    label.append(`${words} `, code);
    label.title = description;
    this.#input = kind === 'choice' ? select(option.choices!) : input(kind);
    if (option.standard === undefined && this.#input instanceof HTMLInputElement) {
      this.#input.placeholder = 'by default';
    }
    this.#input.id = name;
    this.#input.addEventListener('change', changed);
    this.place.className = 'field';
    this.place.append(label, this.#input);
    const meaning = document.createElement('p');
    meaning.className = 'note meaning';
    meaning.textContent = description;
    if (option.stops || option.owners?.some((own) => own.option.stops)) {
      const slider = document.createElement('input');
      slider.type = 'range';
      slider.min = '0';
      slider.dataset.for = name;
      slider.ariaLabel = `${words}, in steps`;
      slider.addEventListener('input', () => {
        this.value = String(this.#stops[slider.valueAsNumber]);
        changed();
      });
      this.#slider = slider;
      this.place.classList.add('slider');
      this.place.append(slider);
    }
    this.place.append(meaning);
  }

  get value(): string {
    const { type } = this.#input;
    return type === 'checkbox' ? String((this.#input as HTMLInputElement).checked) : this.#input.value;
  }

  set value(text: string) {
    if (this.#input.type === 'checkbox') {
      (this.#input as HTMLInputElement).checked = text === 'true';
    } else {
      this.#input.value = text;
    }
  }

  /** Moves the slider to a value, among the stops that the option has with a kind of sparsity. */
  moveSlider(value: number, sparsity: string): void {
    const slider = this.#slider;
    if (!slider) {
      return;
    }
    const own: Option = this.option.owners?.find(({ value }) => value === sparsity)?.option ?? this.option;
    this.#stops = own.stops ?? [];
    const last = this.#stops.length - 1;
    const next = this.#stops.findIndex((stop) => stop >= value);
    slider.max = String(last);
    slider.value = String(next < 0 ? last : next);
    slider.setAttribute('aria-valuetext', String(value));
  }

  /** Marks the field as invalid, with the element that has the reason, or as valid. */
  mark(reason: HTMLElement | undefined): void {
    if (reason) {
      this.#input.setAttribute('aria-invalid', 'true');
      this.#input.setAttribute('aria-describedby', reason.id);
    } else {
      this.#input.removeAttribute('aria-invalid');
      this.#input.removeAttribute('aria-describedby');
    }
  }
}

function select(choices: readonly string[]): HTMLSelectElement {
  const made = document.createElement('select');
  made.append(...choices.map((choice) => new Option(choice)));
  return made;
}

function input(kind: EngineOption['kind']): HTMLInputElement {
  const made = document.createElement('input');
  if (kind === 'flag') {
    made.type = 'checkbox';
  } else {
    made.autocomplete = 'off';
    made.inputMode = kind === 'number' ? 'decimal' : kind === 'whole' ? 'numeric' : 'text';
  }
  return made;
}
