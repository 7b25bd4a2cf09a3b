// The live connection: the Centrifuge SDK behind the few words this page needs.

/* global Centrifuge -- loaded by a script of its own, unmodified */

const CONVERSATION = "conv:";

/**
 * Connect as whoever the tokens are for. The server subscribes the session to every conversation of the user: the page
 * subscribes to nothing itself.
 *
 * `on` hears what happens: `connecting()`, `failed()` (an attempt, others follow), `connected(data)`, `ended(reason)`
 * (for good), `subscribed(conversation, {recovered, data})`, `event(data)`.
 */
export function connect({ url, tokens, on }) {
  const client = new Centrifuge(url, {
    getToken: () => tokens.get({ fresh: true }).catch((error) => {
      // The SDK gives up on this one, and tries again after any other failure.
      throw error.status === 404 || error.status === 403 ? new Centrifuge.UnauthorizedError(error.message) : error;
    }),
    name: "hubbub-play",
    minReconnectDelay: 250,
    maxReconnectDelay: 5_000,
  });
  let restarting = false;
  client.on("connecting", () => on.connecting());
  client.on("connected", ({ data }) => on.connected(data ?? {}));
  client.on("disconnected", ({ reason }) => restarting || on.ended(reason));
  client.on("subscribed", ({ channel, recovered, data }) => {
    if (channel.startsWith(CONVERSATION)) on.subscribed(channel.slice(CONVERSATION.length), { recovered, data });
  });
  client.on("publication", ({ data }) => on.event(data));
  client.on("error", () => client.state === "connecting" && on.failed());
  client.connect();

  return {
    /** The result of a method. Throws {code, message, temporary}. */
    call: async (method, params) => (await client.rpc(method, params)).data,
    /** Hear a conversation that the server does not subscribe this session to. Returns what ends it. */
    follow(conversation) {
      const channel = CONVERSATION + conversation;
      const subscription = client.getSubscription(channel) ?? client.newSubscription(channel);
      subscription.removeAllListeners();
      subscription.on("subscribed", ({ recovered, data }) => on.subscribed(conversation, { recovered, data }));
      subscription.on("publication", ({ data }) => on.event(data));
      subscription.subscribe();
      return () => {
        subscription.unsubscribe();
        client.removeSubscription(subscription);
      };
    },
    /** Try now instead of after the back-off. */
    retry() {
      restarting = true;
      client.disconnect();
      restarting = false;
      client.connect();
    },
  };
}
