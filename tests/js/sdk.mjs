// Clients of the JavaScript SDK, unmodified, driven from outside. Listens on a unix socket; each connection to it is one
// client. Commands come as lines of JSON, answers and everything that happens to the client go back as lines of JSON.
// Ends when stdin does, so it never outlives whoever started it.
//
// node sdk.mjs SOCKET                    says "listening" on stdout when it is
//   in   {"url", "codec": "json" | "protobuf", "options"}      the first line
//        {"id", "do": <name in `commands`>, …}                 a command
//        {"told": <id of the question>, "is": …}               the answer to a question
//   out  {"id", "answer"} or {"id", "error": {code, message}}
//        {"wants": "token" | "state", "id", "channel"?}        a question of one of the SDK's callbacks
//        {"event", "side": "connection" | "server" | "client", "channel"?, …}

import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { Centrifuge as JsonCentrifuge } from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';
import WebSocket from 'ws';

// In Protobuf the SDK leaves payloads to the application: they are bytes, here of JSON.
const plain = { pack: (value) => value, unpack: (value) => value };
const bytes = {
  pack: (value) => new TextEncoder().encode(JSON.stringify(value)),
  unpack: (value) => (value?.length ? JSON.parse(new TextDecoder().decode(value)) : undefined),
};

class Driven {
  constructor(socket, { url, codec, options }) {
    this.socket = socket;
    this.questions = new Map();
    this.asked = 0;
    this.payload = codec === 'protobuf' ? bytes : plain;
    const Centrifuge = codec === 'protobuf' ? ProtobufCentrifuge : JsonCentrifuge;
    this.client = new Centrifuge(url, {
      websocket: WebSocket,
      getToken: () => this.wants('token'),
      ...options,
      ...(options.data === undefined ? {} : { data: this.payload.pack(options.data) }),
    });
    this.listenToConnection();
    this.listenToSubscriptions(this.client, 'server');
  }

  say(line) {
    if (this.socket.writable) this.socket.write(JSON.stringify(line) + '\n');
  }

  wants(what, channel) {
    return new Promise((resolve) => {
      this.asked += 1;
      this.questions.set(this.asked, resolve);
      this.say({ wants: what, id: this.asked, channel });
    });
  }

  take(line) {
    if (line.told !== undefined) {
      this.questions.get(line.told)(line.is);
      this.questions.delete(line.told);
      return;
    }
    this[line.do](line).then(
      (answer) => this.say({ id: line.id, answer: answer ?? null }),
      (error) => this.say({ id: line.id, error: { code: error.code ?? 0, message: error.message ?? String(error) } }),
    );
  }

  end() {
    this.client.disconnect();
  }

  listenToConnection() {
    const tell = (event, fields) => this.say({ event, side: 'connection', ...fields });
    for (const event of ['connecting', 'disconnected'])
      this.client.on(event, ({ code, reason }) => tell(event, { code, reason }));
    this.client.on('connected', (ctx) => tell('connected', { client: ctx.client, data: this.payload.unpack(ctx.data) }));
  }

  listenToSubscriptions(emitter, side, channel) {
    const on = (event, fields) =>
      emitter.on(event, (ctx) => this.say({ event, side, channel: ctx.channel ?? channel, ...fields(ctx) }));
    on('subscribing', ({ code, reason }) => ({ code, reason }));
    on('unsubscribed', ({ code, reason }) => ({ code, reason }));
    on('error', ({ error }) => ({ code: error.code, reason: error.message }));
    on('publication', (ctx) => this.publication(ctx));
    on('join', ({ info }) => ({ info: this.person(info) }));
    on('leave', ({ info }) => ({ info: this.person(info) }));
    on('subscribed', (ctx) => ({
      recoverable: ctx.recoverable,
      positioned: ctx.positioned,
      was_recovering: ctx.wasRecovering,
      recovered: ctx.recovered,
      offset: Number(ctx.streamPosition?.offset ?? 0),
      epoch: ctx.streamPosition?.epoch ?? '',
      data: this.payload.unpack(ctx.data),
    }));
  }

  publication({ offset, data, tags, info }) {
    return {
      offset: Number(offset ?? 0),
      data: this.payload.unpack(data),
      tags: tags ?? {},
      ...(info ? { info: this.person(info) } : {}),
    };
  }

  person({ client, user, connInfo, chanInfo }) {
    return { client, user, connInfo: this.payload.unpack(connInfo), chanInfo: this.payload.unpack(chanInfo) };
  }

  // The commands.

  async connect() {
    this.client.connect();
  }

  async disconnect() {
    this.client.disconnect();
  }

  async rpc({ method, data }) {
    return this.payload.unpack((await this.client.rpc(method, this.payload.pack(data))).data);
  }

  async publish({ channel, data }) {
    await this.client.publish(channel, this.payload.pack(data));
  }

  async presence({ channel }) {
    const { clients } = await this.client.presence(channel);
    return Object.fromEntries(Object.entries(clients).map(([id, info]) => [id, this.person(info)]));
  }

  async presence_stats({ channel }) {
    const stats = await this.client.presenceStats(channel);
    return { num_clients: stats.numClients, num_users: stats.numUsers };
  }

  async history({ channel, limit, since, reverse }) {
    const page = await this.client.history(channel, { limit, since, reverse });
    const publications = page.publications.map((one) => this.publication(one));
    return { publications, offset: Number(page.offset), epoch: page.epoch };
  }

  async subscribe({ channel, options, callbacks }) {
    const subscription = this.client.newSubscription(channel, {
      ...options,
      ...(callbacks.getToken ? { getToken: () => this.wants('token', channel) } : {}),
      ...(callbacks.getState ? { getState: () => this.wants('state', channel) } : {}),
    });
    this.listenToSubscriptions(subscription, 'client', channel);
    subscription.subscribe();
  }

  async unsubscribe({ channel }) {
    const subscription = this.client.getSubscription(channel);
    subscription.unsubscribe();
    this.client.removeSubscription(subscription);
  }
}

createServer((socket) => {
  let driven = null;
  const lines = createInterface({ input: socket });
  lines.on('line', (line) => {
    if (driven) driven.take(JSON.parse(line));
    else driven = new Driven(socket, JSON.parse(line));
  });
  lines.on('close', () => {
    driven?.end();
    socket.end();
  });
}).listen(process.argv[2], () => console.log('listening'));

process.stdin.resume().on('end', () => process.exit(0));
