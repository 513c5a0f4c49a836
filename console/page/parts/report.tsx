import { useState } from 'preact/hooks';
import type { Detail } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { useConsole } from './context.ts';
import { Icon } from './icon.tsx';
import { Card } from './ui.tsx';
import { describe } from './use-action.ts';

const { report: TEXTS } = TEXT;
const FORMATS = [
  ['html', 'html', TEXTS.html],
  ['markdown', 'md', TEXTS.markdown],
  ['json', 'json', TEXTS.json],
] as const;

/** The report of the migration, as a file. */
export function ReportCard({ detail: { project_id, namespace, name } }: { detail: Detail }) {
  const { api, say } = useConsole();
  const [busy, setBusy] = useState<string>();

  async function download(format: string, extension: string) {
    setBusy(format);
    try {
      const query = new URLSearchParams({ format, namespace });
      const response = await api.open(`projects/${project_id}/report/?${query}`);
      save(await response.blob(), `${name}.${extension}`);
    } catch (error) {
      say(describe(error), 'bad');
    }
    setBusy(undefined);
  }

  return (
    <Card title={TEXTS.title}>
      <p class="quiet-text">{TEXTS.intro}</p>
      <div class="buttons stretch">
        {FORMATS.map(([format, extension, text]) => (
          <button key={format} type="button" disabled={busy !== undefined} onClick={() => download(format, extension)}>
            <Icon name="download" />
            {busy === format ? TEXT.actions.working : text}
          </button>
        ))}
      </div>
    </Card>
  );
}

/** A download that needs the caller's token cannot be a link. */
function save(blob: Blob, name: string) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
