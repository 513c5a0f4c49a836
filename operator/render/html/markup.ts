import { printable } from '../printable.ts';

/** Text that is markup already: only {@link html} makes it, and escapes all that it is given. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Content = Markup | string | number | undefined | false | readonly Content[];

/**
 * A template whose values are text, in elements and in quoted attributes alike; markup stays markup. Nothing else may make
 * HTML of what the cluster says: names, messages and reasons are others' texts.
 */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(parts.map((part, index) => part + write(values[index])).join(''));
}

function write(content: Content): string {
  if (content === undefined || content === false) return '';
  if (content instanceof Markup) return content.text;
  if (typeof content === 'object') return content.map(write).join('');
  return escapeHtml(String(content));
}

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** Also marks that command a terminal or turn the direction of text are no text. */
const escapeHtml = (text: string) => printable(text).replace(/[&<>"'`]/g, (mark) => ESCAPES[mark]!);
