import { expect, test } from 'vitest';
import { MOST_CHARACTERS } from '../installation/report.ts';
import { renderAsJson, renderAsLines } from './render.ts';

const OK = { name: 'Core', verdict: 'ok', text: 'db:5432/flagsmith answers' } as const;
const FAILED = { name: 'NATS', verdict: 'failed', text: 'nats:4222: no answer', remedy: 'docs/nats.md' } as const;

test('the text for people has one line for each check, and the remedy below it', () => {
  expect(renderAsLines([OK, { ...FAILED, verdict: 'warning' }, FAILED])).toBe(
    [
      'ok    Core        db:5432/flagsmith answers',
      'WARN  NATS        nats:4222: no answer',
      '                  -> docs/nats.md',
      'FAIL  NATS        nats:4222: no answer',
      '                  -> docs/nats.md',
      '',
    ].join('\n'),
  );
});

test('the output for programs is one line of JSON, with texts no longer than a report allows', () => {
  const long = { ...OK, text: 'x'.repeat(MOST_CHARACTERS + 1) };
  const rendered = renderAsJson([long, FAILED]);
  expect(rendered.split('\n')).toHaveLength(2);
  expect(JSON.parse(rendered)).toEqual({ outcomes: [{ ...OK, text: 'x'.repeat(MOST_CHARACTERS) }, FAILED] });
});
