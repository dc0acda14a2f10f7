// An MCP server over stdio with one tool: `add` appends a line to ledger.txt of the folder that it was started in, with
// the length of its secret, so that a test sees that it had one.
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const add = {
  name: 'add',
  description: 'Adds a line to the ledger',
  inputSchema: { type: 'object', properties: { line: { type: 'string' } }, required: ['line'] },
};

const answers = {
  initialize: (params) => ({
    protocolVersion: params.protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'ledger', version: '1' },
  }),
  ping: () => ({}),
  'tools/list': () => ({ tools: [add] }),
  'tools/call': (params) => {
    appendFileSync('/workspace/ledger.txt', `${params.arguments.line} ${(process.env.LEDGER_TOKEN ?? '').length}\n`);
    return { content: [{ type: 'text', text: 'added' }] };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  if (!line.trim()) continue;
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const answer = answers[method];
  const outcome = answer ? { result: answer(params ?? {}) } : { error: { code: -32601, message: `no ${method}` } };
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...outcome }) + '\n');
}
