// Loaded before anything else in a function's process, also before a layer's wrapper instruments `http` and `net`.
//
// 1. Takes what the runtime client needs to talk to the Runtime API, so that its own calls are never traced.
// 2. Sends aws-sdk v2, which knows no AWS_ENDPOINT_URL, to the front door.
'use strict';

const http = require('http');
const Module = require('module');
const net = require('net');
const path = require('path');

const { request } = http;
const { connect } = net.Socket.prototype;
const [host, port] = (process.env.AWS_LAMBDA_RUNTIME_API || ':').split(':');

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
agent.createConnection = () => {
  const socket = new net.Socket();
  socket.setNoDelay(true);
  return connect.call(socket, { host, port: Number(port) });
};

/** Asks the Runtime API; gives status, headers and body. An answer of any status is one. */
exports.ask = (method, route, headers, body) =>
  new Promise((resolve, reject) => {
    const bytes = body === undefined ? undefined : Buffer.from(body);
    const all = bytes === undefined ? headers : { ...headers, 'content-length': bytes.length };
    const asked = request({ agent, host, port, method, path: `/2018-06-01/runtime/${route}`, headers: all }, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) }));
    });
    asked.on('error', reject);
    asked.end(bytes);
  });

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
