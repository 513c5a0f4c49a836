import { printable } from '../printable.ts';

/** Text that is already markup: only {@link html} creates it, and escapes all values. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Content = Markup | string | number | undefined | false | readonly Content[];

/**
 * A template whose values are text, in elements and in quoted attributes alike; markup stays markup. Only this may turn
 * text from the cluster into HTML: names, messages and reasons are untrusted.
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

/** Also removes control characters that command a terminal or change the direction of text. */
const escapeHtml = (text: string) => printable(text).replace(/[&<>"'`]/g, (mark) => ESCAPES[mark]!);
