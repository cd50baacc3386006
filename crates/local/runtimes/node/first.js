// Loaded before anything else in a function's process, also before a layer's wrapper instruments `net`.
//
// 1. Talks to the Runtime API with what it takes of `net` now, so that its own calls are never traced.
// 2. Sends aws-sdk v2, which knows no AWS_ENDPOINT_URL, to the front door.
'use strict';

const Module = require('module');
const net = require('net');
const path = require('path');

const { connect } = net.Socket.prototype;
const [host, port] = (process.env.AWS_LAMBDA_RUNTIME_API || ':').split(':');

/** Connections that wait for a question; they do not keep the process alive. */
const idle = new Set();

/** A connection of HTTP/1.1 as the Runtime API speaks it: every answer has its length. Loading `http` takes longer. */
class Connection {
  constructor() {
    this.chunks = [];
    this.size = 0;
    this.socket = new net.Socket();
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk) => this.take(chunk));
    this.socket.on('error', (error) => this.fail(error));
    this.socket.on('close', () => this.fail(new Error('the Runtime API closed the connection')));
    connect.call(this.socket, { host, port: Number(port) });
  }

  ask(text, body) {
    idle.delete(this);
    this.socket.ref();
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(body ? Buffer.concat([Buffer.from(text), body]) : text);
    });
  }

  fail(error) {
    idle.delete(this);
    const { reject } = this.waiting || {};
    this.waiting = undefined;
    if (reject) reject(error);
  }

  take(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
    if (!this.head) {
      const all = Buffer.concat(this.chunks);
      this.chunks = [all];
      const end = all.indexOf('\r\n\r\n');
      if (end < 0) return;
      const [first, ...lines] = all.toString('latin1', 0, end).split('\r\n');
      const headers = {};
      for (const line of lines) {
        const colon = line.indexOf(':');
        headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
      }
      const from = end + 4;
      this.head = { status: Number(first.split(' ')[1]), headers, from, to: from + Number(headers['content-length'] || 0) };
    }
    if (this.size < this.head.to) return;
    const { status, headers, from, to } = this.head;
    const body = Buffer.concat(this.chunks).subarray(from, to);
    const { resolve } = this.waiting || {};
    this.waiting = this.head = undefined;
    this.chunks = [];
    this.size = 0;
    if (headers.connection === 'close') {
      this.socket.destroy();
    } else {
      idle.add(this);
      this.socket.unref();
    }
    if (resolve) resolve({ status, headers, body });
  }
}

/** Asks the Runtime API; gives status, headers and body. An answer of any status is one. */
exports.ask = (method, route, headers, body) => {
  const bytes = body === undefined ? undefined : Buffer.from(body);
  const all = bytes === undefined ? headers : { ...headers, 'content-length': bytes.length };
  const lines = Object.entries({ host: `${host}:${port}`, ...all }).map(([name, value]) => `${name}: ${value}\r\n`);
  const [connection] = idle;
  return (connection || new Connection()).ask(`${method} /2018-06-01/runtime/${route} HTTP/1.1\r\n${lines.join('')}\r\n`, bytes);
};

const load = Module._load;
let redirected = false;

function redirect(parent) {
  const endpoint = process.env.AWS_ENDPOINT_URL;
  if (redirected || !endpoint) return;
  redirected = true;
  try {
    load.call(Module, 'aws-sdk/lib/core', parent, false).config.update({ endpoint, s3ForcePathStyle: true });
  } catch (error) {
    redirected = false;
  }
}

const ofSdk = (name) =>
  name === 'aws-sdk' || name.startsWith('aws-sdk/') || name.endsWith(path.join('node_modules', 'aws-sdk', 'lib', 'aws.js'));

Module._load = function (name, parent, isMain) {
  if (typeof name !== 'string' || !ofSdk(name)) return load.call(this, name, parent, isMain);
  let sdk;
  try {
    sdk = load.call(this, name, parent, isMain);
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND' && error.message.includes("'aws-sdk")) {
      const place = process.env.THROUGHLINE_NODE_RUNTIME || 'no folder was configured for it';
      error.message +=
        `\nOn AWS, aws-sdk v2 is part of the nodejs runtime. Here it is looked for beside the function and in the ` +
        `runtime's own folder (${place}). "throughline lab" installs it; or run "npm install aws-sdk@2" there.`;
    }
    throw error;
  }
  if (name !== 'aws-sdk/lib/core') redirect(parent);
  return sdk;
};
