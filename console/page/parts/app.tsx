import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type Api, ApiProblemError, createApi } from '../client/api.ts';
import type { Session } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { formatRoute, parseRoute, type ViewRoute } from '../view/route.ts';
import { Console, type ConsoleContext } from './context.ts';
import { Header } from './header.tsx';
import { ProjectView } from './project.tsx';
import { ProjectsView } from './projects.tsx';
import { SignIn } from './sign-in.tsx';

interface SignedIn {
  readonly api: Api;
  readonly session: Session;
  readonly clockOffset: number;
}

/** The whole page: the session, the current location, and the last announcement. */
export function App() {
  const [signedIn, setSignedIn] = useState<SignedIn>();
  /** Why a token is requested; undefined until it is known whether a proxy identifies the caller. */
  const [reason, setReason] = useState<string>();
  const [route, go] = useRoute();
  const { message, say } = useMessage();

  const signIn = useCallback(async (token: string | undefined) => {
    const leave = () => {
      setSignedIn(undefined);
      setReason(TEXT.signIn.ended);
    };
    const session = await createApi(token).get<Session>('session/');
    const clockOffset = Date.parse(session.server_time) - Date.now();
    setSignedIn({ api: createApi(token, leave), session, clockOffset });
  }, []);
  const signOut = useCallback(() => {
    setSignedIn(undefined);
    setReason('');
  }, []);
  useEffect(() => {
    signIn(undefined).catch((error: unknown) => {
      if (!(error instanceof ApiProblemError)) setReason(TEXT.failure.network);
      else setReason(error.problem.status === 401 ? '' : error.message);
    });
  }, [signIn]);

  const context = useMemo<ConsoleContext | undefined>(() => signedIn && { ...signedIn, go, say }, [signedIn, go, say]);
  return (
    <>
      <button type="button" class="skip" onClick={focusContent}>
        {TEXT.skipToContent}
      </button>
      <Header session={signedIn?.session} onSignOut={signOut} />
      <main id="content" tabIndex={-1}>
        {context !== undefined ? (
          <Console.Provider value={context}>
            <Place route={route} />
          </Console.Provider>
        ) : reason === undefined ? (
          <p class="quiet-text">{TEXT.loading}</p>
        ) : (
          <SignIn reason={reason} signIn={signIn} />
        )}
      </main>
      <div class="toasts" role="status" aria-live="polite">
        {message && (
          <p class="toast" data-tone={message.tone}>
            {message.text}
          </p>
        )}
      </div>
    </>
  );
}

function Place({ route }: { route: ViewRoute }) {
  if (route.kind === 'projects') return <ProjectsView query={route.query} />;
  const { projectId, namespace } = route;
  return <ProjectView key={`${namespace}/${projectId}`} projectId={projectId} namespace={namespace} />;
}

function focusContent() {
  document.getElementById('content')?.focus();
}

/** The address after `#`, and a function to change it. */
function useRoute(): [ViewRoute, ConsoleContext['go']] {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const follow = () => setHash(location.hash);
    addEventListener('popstate', follow);
    return () => removeEventListener('popstate', follow);
  }, []);
  const go = useCallback<ConsoleContext['go']>((route, { replace } = { replace: false }) => {
    const address = formatRoute(route);
    if (replace) history.replaceState(null, '', address);
    else history.pushState(null, '', address);
    setHash(location.hash);
  }, []);
  return [useMemo(() => parseRoute(hash), [hash]), go];
}

interface Message {
  readonly text: string;
  readonly tone: 'good' | 'bad';
}

const MESSAGE_MS = 8000;

function useMessage() {
  const [message, setMessage] = useState<Message>();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const say = useCallback<ConsoleContext['say']>((text, tone = 'good') => {
    clearTimeout(timer.current);
    setMessage({ text, tone });
    timer.current = setTimeout(() => setMessage(undefined), MESSAGE_MS);
  }, []);
  return { message, say };
}
