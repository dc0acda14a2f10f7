// The npm package `ws`, sending one frame to every client: what fan-out is compared with. One broadcast for each
// byte on standard input; the port goes to standard output. node ws_server.mjs FOLDER-WITH-NODE_MODULES
import { createRequire } from "node:module";
import { join } from "node:path";

const { WebSocketServer } = createRequire(join(process.argv[2], "package.json"))("ws");
const snapshotBytes = 2048;
let n = 0;

function frame() {
  const head = `{"n":${n},"text":"`;
  const snapshot = head + "x".repeat(snapshotBytes - head.length - 2) + '"}';
  return Buffer.from(
    `{"op":"snapshot","topic":"board/b","incarnation":"0123456789abcdef0123456789abcdef","revision":${n},"data":${snapshot}}`,
  );
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 4096 }, () =>
  console.log(server.address().port),
);
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.send(frame(), { binary: false });
});
process.stdin.on("data", (asked) => {
  for (let i = 0; i < asked.length; ++i) {
    ++n;
    const bytes = frame();
    for (const socket of server.clients) socket.send(bytes, { binary: false });
  }
});
process.stdin.on("end", () => process.exit(0));
