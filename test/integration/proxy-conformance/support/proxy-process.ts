/** A proxy in its own process, so that its memory is separate from the test's. Arguments: port, `capture` or `pass`. */
import { createRecordingHook, PASS_ALL, startProxy } from './proxy-under-test.ts';

const [upstreamPort, mode] = process.argv.slice(2);
const hook = mode === 'capture' ? createRecordingHook() : PASS_ALL;
const proxy = await startProxy({ upstreamPort: Number(upstreamPort), hook });
process.send?.({ port: proxy.port });
// Peak resident memory so far, in bytes.
process.on('message', () => process.send?.({ peak: process.resourceUsage().maxRSS * 1024 }));
process.on('disconnect', () => process.exit());
