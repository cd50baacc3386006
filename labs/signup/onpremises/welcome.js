// A host "on-premises": no SDK, no daemon of AWS's. It takes the trace id from the request's header and sends its own
// segment to the daemon's port.
//
//   POST /welcome             answers 204
//
//   PORT                      where it listens, 8082 by default; 0 takes any free one
//   AWS_XRAY_DAEMON_ADDRESS   127.0.0.1:2000 by default
//
// Rule: AWS X-Ray developer guide, "Tracing header" and "Sending segment documents to the X-Ray daemon".
'use strict';

const crypto = require('node:crypto');
const dgram = require('node:dgram');
const http = require('node:http');

const [host, port] = (process.env.AWS_XRAY_DAEMON_ADDRESS || '127.0.0.1:2000').split(':');
const socket = dgram.createSocket('udp4').unref();

/** `Root=1-ID;Parent=ID;Sampled=1` as an object. */
const read = (header = '') => Object.fromEntries(header.split(';').map((part) => part.trim().split('=', 2)));

const nowSeconds = () => Date.now() / 1000;

function send(segment) {
  socket.send(`{"format": "json", "version": 1}\n${JSON.stringify(segment)}`, Number(port), host);
}

const server = http.createServer((request, response) => {
  const { Root, Parent, Sampled } = read(request.headers['x-amzn-trace-id']);
  const start_time = nowSeconds();
  request.resume();
  request.on('end', () => {
    response.writeHead(204).end();
    if (!Root || Sampled === '0') return;
    send({
      name: 'mail-room',
      id: crypto.randomBytes(8).toString('hex'),
      trace_id: Root,
      parent_id: Parent,
      start_time,
      end_time: nowSeconds(),
      http: { request: { method: request.method, url: `http://mail-room${request.url}` }, response: { status: 204 } },
    });
  });
});

server.listen(Number(process.env.PORT || 8082), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
