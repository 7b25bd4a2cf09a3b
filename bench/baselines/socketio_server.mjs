// Fan-out with Socket.IO: one emit to everybody. Same dialogue as send_loop.c.
import { createServer } from "node:http";

import { answer, require } from "./dialogue.mjs";

const { Server } = require("socket.io");

const [port, receivers, size] = process.argv.slice(2).map(Number);
const http = createServer();
// The receivers read and say nothing: they answer no pings.
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, pingInterval: 3_600_000 });
const text = "x".repeat(size - 4 - '42["m",""]'.length);
let connected = 0;
io.on("connection", () => {
  if (++connected === receivers) console.log("ready");
});
http.listen({ port, host: "127.0.0.1", backlog: 4096 }, () => console.log("listening"));
await answer(() => io.emit("m", text));
