import type { Output } from '../python/json.ts';
import { renderJson } from '../python/json.ts';
import type { Session } from '../store/session.ts';
import type { User } from './access.ts';
import type { Input } from './body.ts';
import type { Reply } from './errors.ts';

/** One request as a view sees it. */
export interface Call {
  readonly method: string;
  /** Decoded, without `/api/v1/`. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Captures of the path's pattern. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly session: Session;
  /** The caller, on routes for users. */
  readonly user?: User;
  header(name: string): string | undefined;
  /** The parsed body; read on first use, so that a view that answers without it leaves it unread. */
  data(): Promise<Input>;
  /** Runs after the answer, like Flagsmith's task processor. */
  later(task: (session: Session) => Promise<void>): void;
}

type View = (call: Call) => Promise<Reply>;

export interface Route {
  readonly pattern: RegExp;
  readonly methods: Readonly<Record<string, View>>;
  /** Runs before the method is checked. @throws HttpError */
  readonly authenticate: (call: Call) => Promise<User | undefined>;
}

export function json(body: Output, status = 200, headers: Reply['headers'] = {}): Reply {
  return { status, headers: { ...headers, 'Content-Type': 'application/json' }, body: renderJson(body) };
}

export function html(status: number, title: string): Reply {
  return {
    status,
    headers: { 'Content-Type': 'text/html; charset=utf-8' },
    body: `<!doctype html>\n<html lang="en">\n<head><title>${title}</title></head>\n<body><h1>${title}</h1></body>\n</html>\n`,
  };
}

export const noContent = (): Reply => ({ status: 204, headers: {}, body: '' });
