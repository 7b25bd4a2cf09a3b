// Fan-out with Node's `ws`: one send() per receiver. Same dialogue as send_loop.c.
import { createInterface } from "node:readline";
import { WebSocketServer } from "ws";

const [port, receivers, size] = process.argv.slice(2).map(Number);
const server = new WebSocketServer({ port, host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });
const text = "x".repeat(size - 4);
const sockets = [];
server.on("listening", () => console.log("listening"));
server.on("connection", (socket) => {
  sockets.push(socket);
  if (sockets.length === receivers) console.log("ready");
});
for await (const line of createInterface({ input: process.stdin })) {
  const before = process.cpuUsage();
  for (let message = 0; message < Number(line); message++) {
    for (const socket of sockets) socket.send(text);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const used = process.cpuUsage(before);
  console.log(used.user + used.system);
}
