import type { ReportFile } from '../data.js';
import type { Route } from '../route.js';

/** What views need of the page. */
export interface Context {
  readonly file: ReportFile;
  /** Goes to another view, as a link to its address does. */
  readonly go: (route: Route) => void;
}

/** A view that is ready to be shown. */
export interface View {
  /** Its heading. */
  readonly title: string;
  readonly content: readonly HTMLElement[];
  /** Is called once the content is in the document; returns what ends it. `again` says that it is come back to. */
  readonly start?: (again: boolean) => (() => void) | undefined;
}
