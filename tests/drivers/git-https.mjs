// Serves the bare repositories of a folder over https with git's own http-backend, to whoever has a token:
//   node git-https.mjs FOLDER CERTIFICATE KEY
// `writer` may read and push, `reader` may read (a push is 403), anybody else is 401. Prints its port; ends with its stdin.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const [folder, certificate, key] = process.argv.slice(2);

function refuse(answer, status, headers) {
  answer.writeHead(status, headers);
  answer.end();
}

const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, answer) => {
  const url = new URL(request.url, 'https://localhost');
  const given = Buffer.from((request.headers.authorization ?? '').replace('Basic ', ''), 'base64').toString();
  const token = given.slice(given.indexOf(':') + 1);
  if (!['writer', 'reader'].includes(token)) return refuse(answer, 401, { 'WWW-Authenticate': 'Basic realm="git"' });
  const pushes = url.searchParams.get('service') === 'git-receive-pack' || url.pathname.endsWith('git-receive-pack');
  if (pushes && token === 'reader') return refuse(answer, 403, {});
  const backend = spawn('git', ['-c', 'http.receivepack=true', 'http-backend'], {
    env: {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method,
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      ...(request.headers['content-length'] ? { CONTENT_LENGTH: request.headers['content-length'] } : {}),
      REMOTE_USER: token,
      REMOTE_ADDR: '127.0.0.1',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  backend.stdin.on('error', () => {});
  request.pipe(backend.stdin);
  let head = Buffer.alloc(0);
  backend.stdout.on('data', function begin(piece) {
    head = Buffer.concat([head, piece]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    backend.stdout.off('data', begin);
    let status = 200;
    for (const line of head.subarray(0, end).toString().split('\r\n')) {
      const [name, value] = line.split(/: (.*)/);
      if (name === 'Status') status = Number.parseInt(value, 10);
      else answer.setHeader(name, value);
    }
    answer.writeHead(status);
    answer.write(head.subarray(end + 4));
    backend.stdout.pipe(answer);
  });
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
