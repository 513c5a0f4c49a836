import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import type { Api } from '../client/api.ts';
import type { Session } from '../client/types.ts';
import type { ViewRoute } from '../view/route.ts';

/** Data for all parts of the page. */
export interface ConsoleContext {
  readonly api: Api;
  readonly session: Session;
  /** Milliseconds by which the server's clock is ahead of this one: deadlines use the server's. */
  readonly clockOffset: number;
  readonly go: (route: ViewRoute, options?: { readonly replace: boolean }) => void;
  /** Announces a message for a moment, visually and to screen readers. */
  readonly say: (message: string, tone?: 'good' | 'bad') => void;
}

export const Console = createContext<ConsoleContext | undefined>(undefined);

export function useConsole(): ConsoleContext {
  const context = useContext(Console);
  if (context === undefined) throw new Error('this part of the page requires a session');
  return context;
}

/** The server's time in milliseconds, as of every `intervalMs` milliseconds. */
export function useNow(intervalMs = 1000): number {
  const { clockOffset } = useConsole();
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs]);
  return now + clockOffset;
}
