/**
 * Node's own cost of forwarding a request: `node:http` in front, undici behind, and nothing else that a transparent
 * proxy has to do. Arguments: the port, the API's port.
 */
import { createServer } from 'node:http';
import { Pool } from 'undici';

const api = new Pool(`http://127.0.0.1:${process.argv[3]}`, { connections: 64 });

createServer((request, response) => {
  const { method = 'GET', url = '/', headers } = request;
  const { connection: _ofThisHop, ...forwarded } = headers;
  const body = method === 'GET' ? null : request;
  api.dispatch(
    { method, path: url, headers: forwarded, body },
    {
      onRequestStart: () => {},
      onResponseStart: (_controller, status, fields) => void response.writeHead(status, fields),
      onResponseData: (_controller, data) => void response.write(data),
      onResponseEnd: () => void response.end(),
      onResponseError: (_controller, error) => void response.destroy(error),
    },
  );
}).listen(Number(process.argv[2]), '127.0.0.1');
