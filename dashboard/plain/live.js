// One WebSocket to the server: topics, commands, and coming back after it was lost.
const first_pause = 500, longest_pause = 15000;

export class live {
  constructor(on_state) {
    this.on_state = on_state;
    this.topics = new Map();   // name → {take, after, have}
    this.waiting = new Map();  // id → {resolve, reject, message}
    this.pause = first_pause;
    this.closed = false;
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = this.socket = new WebSocket(`${scheme}//${location.host}/v1/ws`, "troupe.v1");
    socket.onmessage = event => this.take(JSON.parse(event.data));
    socket.onclose = event => {
      this.ready = false;
      if (this.closed) return;
      if (event.code === 4401) return this.on_state("signed out", event.reason);
      this.on_state("lost", `Reconnecting in ${Math.ceil(this.pause / 1000)} s`);
      setTimeout(() => this.connect(), this.pause);
      this.pause = Math.min(this.pause * 2, longest_pause);
    };
  }

  take(frame) {
    if (frame.op === "hello") {
      this.ready = true;
      this.pause = first_pause;
      this.on_state("open", "", frame.principal);
      // Their ids make sending commands again harmless; topics are asked for anew, from where they are.
      for (const { message } of this.waiting.values())
        if (message.op !== "subscribe") this.socket.send(JSON.stringify(message));
      for (const name of this.topics.keys()) this.ask_for(name);
      return;
    }
    if (frame.op === "reply") {
      const one = this.waiting.get(frame.id);
      this.waiting.delete(frame.id);
      if (!one) return;
      if (frame.ok) one.resolve(frame.result);
      else one.reject(Object.assign(new Error(frame.error.detail || frame.error.title), frame.error));
      return;
    }
    const topic = this.topics.get(frame.topic);
    if (!topic) return;
    if (frame.op === "snapshot") topic.have = { incarnation: frame.incarnation, revision: frame.revision };
    if (frame.op === "entries") topic.after = frame.last;
    if (frame.op === "reset") topic.after = frame.first - 1;
    if (frame.op === "gone") this.topics.delete(frame.topic);
    topic.take(frame);
  }

  send(message) {
    return new Promise((resolve, reject) => {
      const id = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2) + Date.now();
      message = { id, ...message };
      this.waiting.set(message.id, { resolve, reject, message });
      if (this.ready) this.socket.send(JSON.stringify(message));
    });
  }

  ask_for(name) {
    const topic = this.topics.get(name);
    const message = { op: "subscribe", topic: name };
    if (name.includes("#")) message.after = topic.after;
    else if (topic.have) message.have = topic.have;
    const id = `subscribe ${name}`;
    this.waiting.set(id, {
      resolve() {},
      reject: error => topic.take({ op: "gone", topic: name, reason: error.message }),
      message: { id, ...message },
    });
    if (this.ready) this.socket.send(JSON.stringify({ id, ...message }));
  }

  subscribe(name, take) {
    this.topics.set(name, { take, after: 0, have: null });
    if (this.ready) this.ask_for(name);
  }

  unsubscribe(name) {
    if (!this.topics.delete(name)) return;
    this.waiting.delete(`subscribe ${name}`);
    this.send({ op: "unsubscribe", topic: name }).catch(() => {});
  }

  command(to, name, body = {}) { return this.send({ op: "command", to, name, body }); }
  query(to, name, body = {}) { return this.send({ op: "query", to, name, body }); }

  close() {
    this.closed = true;
    this.socket.close();
  }
}
