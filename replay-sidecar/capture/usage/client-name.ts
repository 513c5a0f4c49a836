import type { RequestHead } from '../proxy/hook.ts';
import { metaValue } from '../routes/http/head.ts';

/** Names that Flagsmith's SDKs send; earlier versions did not, and are known only by their HTTP client. */
const SDKS: ReadonlySet<string> = new Set([
  'flagsmith-dotnet-sdk',
  'flagsmith-elixir-sdk',
  'flagsmith-flutter-sdk',
  'flagsmith-go-sdk',
  'flagsmith-java-sdk',
  'flagsmith-js-sdk',
  'flagsmith-kotlin-android-sdk',
  'flagsmith-nodejs-sdk',
  'flagsmith-php-sdk',
  'flagsmith-python-sdk',
  'flagsmith-ruby-sdk',
  'flagsmith-rust-sdk',
  'flagsmith-swift-ios-sdk',
]);

/** Lower-case prefixes of the first word of `User-Agent`, and their names here; without a version. */
const HTTP_CLIENTS: readonly (readonly [string, string])[] = [
  ['mozilla', 'browser'],
  ['dalvik', 'android'],
  ['okhttp', 'okhttp'],
  ['dart', 'dart'],
  ['python-requests', 'python-requests'],
  ['python-httpx', 'python-httpx'],
  ['python', 'python'],
  ['aiohttp', 'python'],
  ['node-fetch', 'node'],
  ['undici', 'node'],
  ['node', 'node'],
  ['axios', 'axios'],
  ['go-resty', 'go'],
  ['go-http-client', 'go'],
  ['java', 'java'],
  ['apache-httpclient', 'java'],
  ['faraday', 'ruby'],
  ['ruby', 'ruby'],
  ['guzzlehttp', 'php'],
  ['symfony', 'php'],
  ['php', 'php'],
  ['postmanruntime', 'postman'],
  ['curl', 'curl'],
];

/** At most three numbers: four may be an address. Anything after a first release is dropped except its kind. */
const VERSION = /^v?(\d{1,4}\.\d{1,4}(?:\.\d{1,4})?(?:-(?:alpha|beta|rc)(?:\.?\d{1,3})?)?)(?=$|[-+ ])/;
/** Nothing relevant stands behind it. */
const LONGEST = 256;

/** A client that the table does not know, and one that does not say what it is. */
const OTHER = 'other';
const SILENT = 'unknown';

/**
 * The name of a request's client: an SDK of Flagsmith's with its version (`flagsmith-js-sdk/9.3.1`), otherwise the kind
 * of its HTTP client. Browsers own `User-Agent`, so the SDK for them has its own header. Every name is from a fixed
 * table and every version a short number: nothing else that a client sends is kept.
 */
export function nameClient({ fields }: Pick<RequestHead, 'fields'>): string {
  const own = nameSdk(metaValue(fields, 'flagsmith-sdk-user-agent'));
  if (own !== undefined) return own;
  const agent = metaValue(fields, 'user-agent');
  return nameSdk(agent) ?? nameHttpClient(agent);
}

/** The name of all undistinguished versions of a client: `flagsmith-js-sdk/other`. */
export function nameOtherVersions(client: string): string {
  const slash = client.indexOf('/');
  return slash < 0 ? client : `${client.slice(0, slash)}/${OTHER}`;
}

function nameSdk(agent: string | undefined): string | undefined {
  if (agent === undefined) return undefined;
  // Sent by the SDK for Node.js when it does not find its own version.
  if (agent === 'unknown') return 'flagsmith-nodejs-sdk/unknown';
  const text = agent.slice(0, LONGEST);
  const slash = text.indexOf('/');
  const name = (slash < 0 ? text : text.slice(0, slash)).toLowerCase();
  if (!SDKS.has(name)) return undefined;
  const version = slash < 0 ? undefined : VERSION.exec(text.slice(slash + 1))?.[1];
  return `${name}/${version ?? 'unknown'}`;
}

function nameHttpClient(agent: string | undefined): string {
  if (agent === undefined || agent === '') return SILENT;
  const text = agent.slice(0, LONGEST).toLowerCase();
  // `<name of the app>/1 CFNetwork/1410.0.3 Darwin/22.6.0`
  if (text.includes('cfnetwork/')) return 'ios';
  return HTTP_CLIENTS.find(([start]) => text.startsWith(start))?.[1] ?? OTHER;
}
