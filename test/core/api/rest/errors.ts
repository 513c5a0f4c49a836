import type { Output } from '../python/json.ts';

/** The answer of a view. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Ends a view with another answer than its ordinary one. Earlier commits stay committed. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly detail: Output;

  constructor(status: number, detail: Output) {
    super(`HTTP ${status}`);
    this.status = status;
    this.detail = detail;
  }
}

/** Django's own 400, which is a page, not JSON. */
export class BadRequestError extends Error {
  override readonly name = 'BadRequestError';
}

/** Messages by field, per item of a list, or for the whole. */
export type Messages = readonly (string | Messages)[] | { readonly [field: string]: Messages };

/** 400 with messages by field. */
export class ValidationError extends HttpError {
  readonly messages: Messages;

  constructor(messages: Messages) {
    super(400, messages as Output);
    this.messages = messages;
  }
}

export const detail = (text: string): Output => ({ detail: text });
/** Without a model's name: for a page or a format that does not exist. */
export const notFound = (model?: string) =>
  new HttpError(404, detail(model === undefined ? 'Not found.' : `No ${model} matches the given query.`));
