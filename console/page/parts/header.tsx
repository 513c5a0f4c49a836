import { useEffect, useState } from 'preact/hooks';
import type { Session } from '../client/types.ts';
import { TEXT } from '../text.ts';

const THEMES = ['system', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const STORED = 'edge-migration-theme';

export function Header({ session, onSignOut }: { session: Session | undefined; onSignOut: () => void }) {
  return (
    <header class="top">
      <a class="brand" href="#/">
        <img src="icon.svg" width="28" height="28" alt="" />
        {TEXT.title}
      </a>
      <div class="top-side">
        {session && (
          <span class="user" title={TEXT.signIn.signedInAs(session.user)}>
            {session.user}
          </span>
        )}
        {session?.read_only && <span class="tag">{TEXT.signIn.readOnly}</span>}
        <ThemeChoice />
        {session?.authentication === 'Token' && (
          <button type="button" class="quiet" onClick={onSignOut}>
            {TEXT.signIn.signOut}
          </button>
        )}
      </div>
    </header>
  );
}

function ThemeChoice() {
  const [theme, setTheme] = useState<Theme>(readTheme);
  useEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
    localStorage.setItem(STORED, theme);
  }, [theme]);
  return (
    <select
      class="theme"
      aria-label={TEXT.theme.label}
      value={theme}
      onChange={({ currentTarget }) => setTheme(currentTarget.value as Theme)}
    >
      {THEMES.map((name) => (
        <option key={name} value={name}>
          {TEXT.theme[name]}
        </option>
      ))}
    </select>
  );
}

const readTheme = (): Theme => THEMES.find((name) => name === localStorage.getItem(STORED)) ?? 'system';
