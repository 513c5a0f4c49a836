import { AwsJson1_0Protocol } from '@aws-sdk/core/protocols';

/** Longest UTF-8 form of a UTF-16 unit. */
const BYTES_PER_UNIT = 3;

/**
 * Texts as bytes, each encoded once: the SDK would do it for the length, for the signature and for the socket, and one
 * character beyond Latin-1 makes that slow. The scratch buffer avoids counting the bytes first.
 */
function createEncoder(): (text: string) => Uint8Array {
  let scratch = Buffer.allocUnsafeSlow(64 * 1024);
  return (text) => {
    const most = text.length * BYTES_PER_UNIT;
    if (most > LARGEST_SCRATCH) return Buffer.from(text);
    if (most > scratch.length) scratch = Buffer.allocUnsafeSlow(2 * most);
    return Buffer.from(scratch.subarray(0, scratch.write(text)));
  };
}
const LARGEST_SCRATCH = 1024 * 1024;

/** The SDK reuses one; each message is written and flushed before the next one begins. */
function createSerializer() {
  const encode = createEncoder();
  let text = '';
  return {
    setSerdeContext() {},
    write(_schema: unknown, value: unknown) {
      text = JSON.stringify(value);
    },
    flush: () => encode(text),
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
      // Not DynamoDB's own words but a proxy's: the status is sufficient.
      return {};
    }
  },
};

/**
 * DynamoDB's protocol without the walk over every attribute of every item: ours are already in wire format. The walk
 * would turn base64 into binaries, which no document contains, and times into `Date`, which nothing reads.
 */
export class PlainJsonProtocol extends AwsJson1_0Protocol {
  protected override serializer = createSerializer();
  protected override deserializer = deserializer;
}
