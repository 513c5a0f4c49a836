import { useId, useState } from 'preact/hooks';
import { ApiProblemError } from '../client/api.ts';
import { TEXT } from '../text.ts';
import { Note } from './ui.tsx';

const { signIn: TEXTS } = TEXT;

/** Asks for a bearer token. @param reason why it is requested again; empty the first time */
export function SignIn({ reason, signIn }: { reason: string; signIn: (token: string) => Promise<void> }) {
  const [problem, setProblem] = useState(reason);
  const [isBusy, setBusy] = useState(false);
  const id = useId();

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const token = new FormData(event.currentTarget as HTMLFormElement).get('token');
    setBusy(true);
    setProblem('');
    await signIn(String(token).trim()).catch((error: unknown) => {
      setBusy(false);
      setProblem(describe(error));
    });
  }

  return (
    <form class="card sign-in" onSubmit={submit}>
      <h1>{TEXTS.title}</h1>
      <p class="quiet-text">{TEXTS.lead}</p>
      <div role="alert">{problem && <Note tone="bad">{problem}</Note>}</div>
      <label for={id}>{TEXTS.token}</label>
      <input
        id={id}
        name="token"
        type="password"
        required
        autoComplete="off"
        spellcheck={false}
        aria-describedby={`${id}-hint`}
      />
      <p id={`${id}-hint`} class="hint">
        {TEXTS.hint}
      </p>
      <button type="submit" class="primary" disabled={isBusy}>
        {isBusy ? TEXT.actions.working : TEXTS.submit}
      </button>
      <details>
        <summary>{TEXTS.how}</summary>
        <p>{TEXTS.howText}</p>
        <pre>
          <code>{TEXTS.command}</code>
        </pre>
        <p>{TEXTS.howMore}</p>
      </details>
    </form>
  );
}

function describe(error: unknown): string {
  if (!(error instanceof ApiProblemError)) return TEXT.failure.network;
  return error.problem.status === 401 ? TEXTS.refused : error.message;
}
