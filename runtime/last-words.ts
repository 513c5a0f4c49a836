import { constants } from 'node:os';

/** How a container ended, as reported by the kubelet. */
export interface ContainerEnd {
  /** Its termination message, or the end of its log (`FallbackToLogsOnError`). */
  readonly message?: string | undefined;
  readonly reason?: string | undefined;
  readonly exitCode?: number | undefined;
}

/** Maximum length of a container's message in a status. */
const LONGEST = 400;
/** For text that is no log: an error's message may have several lines. */
const LONGEST_MESSAGE = 1_000;
/** The pino level from which on a line is an error. */
const ERROR_LEVEL = 50;
/** Identifies a line of JSON whose beginning or end was cut off. */
const PART_OF_JSON = /"(level|time|msg|event|message|levelname)"\s*:/;
/** The format in which Flagsmith's own logger writes its context; keys identify its customers' clients. */
const SECRETS = /\b(\w*(?:key|token|secret|password|identifier|email)\w*)=("[^"]*"|'[^']*'|\S+)/gi;
const SIGNAL_BASE = 128;

/** One sentence about why a container ended: its message, extracted from the log line, and the cause of its end. */
export function describeEnd({ message = '', reason, exitCode }: ContainerEnd): string {
  const { words, isLog } = readWords(message);
  const cause = nameCause({ reason, exitCode });
  if (words === '') return cause === '' ? '' : `${cause}; see its log`;
  const isKilled = reason === 'OOMKilled' || (exitCode ?? 0) > SIGNAL_BASE;
  return (isLog || isKilled) && cause !== '' ? `${cause}; it last said: ${words}` : words;
}

function nameCause({ reason = 'Error', exitCode }: ContainerEnd): string {
  if (exitCode === undefined) return '';
  const signal = Object.entries(constants.signals).find(([, number]) => number === exitCode - SIGNAL_BASE)?.[0];
  return `${reason}, exit code ${exitCode}${signal === undefined ? '' : ` (${signal})`}`;
}

/** The last error line of a log; the end of any other text. */
function readWords(message: string): { words: string; isLog: boolean } {
  const lines = message.split('\n').filter((line) => line.trim() !== '');
  const known = lines.map(readLine);
  const isLog = known.some((line) => line !== undefined);
  if (!isLog) return { words: hideSecrets(message.trim()).slice(-LONGEST_MESSAGE), isLog };
  const told = known.flatMap((line, index) => line ?? { text: lines[index]?.trim() ?? '', isError: false });
  const readable = told.filter(({ text }) => text !== '');
  const last = readable.findLast(({ isError }) => isError) ?? readable.at(-1);
  return { words: hideSecrets(last?.text ?? '').slice(-LONGEST), isLog };
}

interface Line {
  text: string;
  isError: boolean;
}

/** Undefined if the line is not JSON; without a text if it is truncated JSON, or has none. */
function readLine(line: string): Line | undefined {
  const fields = parseFields(line);
  if (fields === undefined) return PART_OF_JSON.test(line) ? { text: '', isError: false } : undefined;
  const { msg, message, event, level, levelname } = fields;
  const said = [msg, message, event].find((text) => typeof text === 'string');
  const cause = ['err', 'error', 'exc_info'].map((name) => readCause(fields[name])).find((text) => text !== undefined);
  const isError =
    (typeof level === 'number' && level >= ERROR_LEVEL) || /^(error|critical|fatal)$/i.test(`${levelname ?? level}`);
  return { text: [said, cause].filter((text) => text !== undefined).join(': '), isError };
}

function readCause(value: unknown): string | undefined {
  if (typeof value === 'string') return value.trim().split('\n').at(-1);
  const { message } = (value ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message : undefined;
}

function parseFields(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const hideSecrets = (text: string): string => text.replace(SECRETS, '$1=…');
