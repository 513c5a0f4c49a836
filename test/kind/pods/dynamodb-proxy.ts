/** The fault proxy in front of DynamoDB as a pod: GET /writes on its control port, PUT /disturbances sets them. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { z } from 'zod';
import { disturbance, takeTurns } from '../../faults/disturbance.ts';
import { startDynamodbProxy } from '../../faults/dynamodb-proxy.ts';

const port = z.coerce.number().int();
const configuration = z.object({ endpoint: z.url(), port, controlPort: port });

const settings = parseEnvironment(configuration, process.env);
const proxy = await startDynamodbProxy(settings.endpoint, { host: '0.0.0.0', port: settings.port });

async function control(request: IncomingMessage): Promise<object> {
  const { method, url } = request;
  if (method === 'PUT' && url === '/disturbances') {
    proxy.inject(takeTurns(z.array(disturbance).parse(await json(request))));
    return {};
  }
  return { writes: proxy.writes() };
}

const server = createServer((request, response) => {
  control(request).then(
    (answer) => response.writeHead(200, { connection: 'close' }).end(JSON.stringify(answer)),
    (error: unknown) => response.writeHead(400, { connection: 'close' }).end(String(error)),
  );
});
server.listen(settings.controlPort, '0.0.0.0');
await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
server.closeAllConnections();
server.close();
await proxy.stop();
