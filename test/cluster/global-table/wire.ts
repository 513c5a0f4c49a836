import http from 'node:http';
import { text } from 'node:stream/consumers';

/** Attributes in DynamoDB's own JSON (`{"S": "…"}`), unparsed. */
export type Item = Readonly<Record<string, unknown>>;

/** The fields of requests that the global table uses. */
export interface Body {
  readonly TableName?: string;
  readonly Item?: Item;
  readonly Key?: Item;
  readonly ConsistentRead?: boolean;
  readonly Statement?: string;
  readonly Parameters?: readonly unknown[];
  readonly Statements?: readonly Statement[];
  readonly TransactStatements?: readonly Statement[];
  readonly RequestItems?: Readonly<Record<string, unknown>>;
  readonly KeySchema?: readonly { readonly AttributeName: string }[];
  readonly LocalSecondaryIndexes?: readonly unknown[];
  readonly [field: string]: unknown;
}

/** A PartiQL statement and its parameters. */
export interface Statement {
  readonly Statement: string;
  readonly Parameters?: readonly unknown[];
  readonly ConsistentRead?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** An error in the form of DynamoDB's answers. */
export function refusal(status: number, type: string, message: string): Answer {
  return { status, text: JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message }) };
}

/** A DynamoDB Local started with `regional`, and the access key under which it keeps this table's databases. */
export interface RegionalServer {
  readonly endpoint: string;
  /** Letters and digits. */
  readonly accessKeyId: string;
}

/** Less than DynamoDB Local keeps idle connections: a request on one that it closes would be lost. */
const IDLE_MS = 5_000;

/** The database that a DynamoDB Local, started with `regional`, keeps for one region. */
export class RegionalDatabase {
  readonly #server: RegionalServer;
  readonly #region: string;
  readonly #agent = new http.Agent({ keepAlive: true, timeout: IDLE_MS });

  constructor(server: RegionalServer, region: string) {
    this.#server = server;
    this.#region = region;
  }

  /** Sends a request; a refusal by DynamoDB is an answer like any other. */
  send(target: string, body: string): Promise<Answer> {
    const { endpoint, accessKeyId } = this.#server;
    const scope = `${accessKeyId}/20000101/${this.#region}/dynamodb/aws4_request`;
    const headers = {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': target,
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=00`,
      'content-length': Buffer.byteLength(body),
    };
    return new Promise((resolve, reject) => {
      const request = http.request(endpoint, { method: 'POST', headers, agent: this.#agent }, (response) => {
        text(response).then((answer) => resolve({ status: response.statusCode ?? 502, text: answer }), reject);
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  /** @throws Error when DynamoDB refuses: for the global table's own requests, which cannot be wrong */
  async call<T>(operation: string, body: object, api = 'DynamoDB_20120810'): Promise<T> {
    const { status, text: answer } = await this.send(`${api}.${operation}`, JSON.stringify(body));
    if (status !== 200)
      throw new Error(`Global table: ${operation} in ${this.#region} was answered ${status} ${answer}`);
    return JSON.parse(answer) as T;
  }

  close(): void {
    this.#agent.destroy();
  }
}
