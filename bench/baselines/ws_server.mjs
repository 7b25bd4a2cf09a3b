// Fan-out with Node's `ws`: one send() per receiver. Same dialogue as send_loop.c.
import { answer, require } from "./dialogue.mjs";

const { WebSocketServer } = require("ws");

const [port, receivers, size] = process.argv.slice(2).map(Number);
const server = new WebSocketServer({ port, host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });
const text = "x".repeat(size - 4);
const sockets = [];
server.on("listening", () => console.log("listening"));
server.on("connection", (socket) => {
  sockets.push(socket);
  if (sockets.length === receivers) console.log("ready");
});
await answer(() => {
  for (const socket of sockets) socket.send(text);
});
