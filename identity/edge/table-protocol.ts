import { AwsJson1_0Protocol } from '@aws-sdk/core/protocols';

/** The SDK reuses one; each message is written and flushed before the next one begins. */
function createSerializer() {
  let text = '';
  return {
    setSerdeContext() {},
    write(_schema: unknown, value: unknown) {
      text = JSON.stringify(value);
    },
    flush: () => text,
  };
}

const deserializer = {
  setSerdeContext() {},
  async read(_schema: unknown, body: string | Uint8Array) {
    const text =
      typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
    try {
      return JSON.parse(text);
    } catch {
      // Not DynamoDB's own words but some proxy's: the status says enough.
      return {};
    }
  },
};

/**
 * DynamoDB's protocol without the walk over every attribute of every item: ours are in wire format already. The walk
 * would turn base64 into binaries, which are no part of any document, and times into `Date`, which nothing reads.
 */
export class PlainJsonProtocol extends AwsJson1_0Protocol {
  protected override serializer = createSerializer();
  protected override deserializer = deserializer;
}
