// The sign-up workshop's web application: a page with a form; each sign-up is a call of a Lambda function.
//
//   GET /           the page
//   POST /signup    email and name, as a form or as JSON; 409 when the address has signed up before
//
//   PORT            where it listens, 8081 by default; 0 takes any free one
//   FUNCTION_NAME   XrayReinventBuilderLambda by default
//   ONPREMISES_URL  a host elsewhere that is told of each sign-up; nobody is when it is unset
//   TRACES_URL      where traces can be seen, so that the page links to each: http://127.0.0.1:8900
'use strict';

const http = require('node:http');
const fs = require('node:fs');
const path = require('node:path');
const xray = require('aws-xray-sdk-core');

xray.config([xray.plugins.ElasticBeanstalkPlugin]);
xray.middleware.setDefaultName('signup-app');
// Every request of a workshop is kept; the SDK's own rule keeps one a second.
xray.middleware.disableCentralizedSampling();
xray.middleware.setSamplingRules({ version: 2, default: { fixed_target: 1, rate: 1 }, rules: [] });
xray.captureHTTPsGlobal(http, true);
const Lambda = xray.captureAWSClient(new (require('aws-sdk/clients/lambda'))({
  // Unset on AWS, where the SDK knows the way itself.
  endpoint: process.env.AWS_ENDPOINT_URL,
  region: process.env.AWS_REGION || 'us-east-1',
}));

const { FUNCTION_NAME = 'XrayReinventBuilderLambda', ONPREMISES_URL, TRACES_URL } = process.env;
const BODY_BYTES_MAX = 10_000;
const PAGE = fs.readFileSync(path.join(__dirname, 'page.html'), 'utf8');

const escaped = (text) => text.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);

/** The page with what happened last; `level` is a class of its style. */
function page(level, text, traceId) {
  const shown = TRACES_URL ? `<a href="${escaped(TRACES_URL)}/t/${traceId}">${traceId}</a>` : traceId;
  const said = text && `<p class="${level}">${escaped(text)}</p><p class="trace">Trace: ${shown}</p>`;
  return PAGE.replace('<!-- said -->', () => said);
}

/** The form's fields; throws when they cannot be read. */
async function fields(request) {
  let body = '';
  for await (const piece of request.setEncoding('utf8')) {
    body += piece;
    if (body.length > BODY_BYTES_MAX) throw new Error('the form is too long');
  }
  const isJson = request.headers['content-type']?.includes('json');
  const { email = '', name = '' } = isJson ? JSON.parse(body) : Object.fromEntries(new URLSearchParams(body));
  if (!/^[^@\s]+@[^@\s]+$/.test(email)) throw new Error('an e-mail address is needed');
  return { email: String(email), name: String(name) };
}

/** Tells the host elsewhere; the SDK puts the trace header on this request. */
function tellOnPremises(signup) {
  if (!ONPREMISES_URL) return Promise.resolve();
  return new Promise((resolve) => {
    const request = http.request(`${ONPREMISES_URL}/welcome`, { method: 'POST' }, (answer) => {
      answer.resume();
      answer.on('end', resolve);
    });
    request.on('error', (error) => {
      console.error('the host elsewhere was not reached:', error.message);
      resolve();
    });
    request.end(JSON.stringify(signup));
  });
}

/** Signs up; gives status, level and text. */
async function signUp(request) {
  let signup;
  try {
    signup = await fields(request);
  } catch (error) {
    return [400, 'error', `That could not be read: ${error.message}.`];
  }
  const answer = await Lambda.invoke({ FunctionName: FUNCTION_NAME, Payload: JSON.stringify(signup) }).promise();
  if (answer.FunctionError) {
    const { errorType, errorMessage } = JSON.parse(answer.Payload);
    const isTwice = errorType === 'ConditionalCheckFailedException';
    return isTwice
      ? [409, 'error', `${signup.email} has signed up before.`]
      : [502, 'error', `The sign-up failed: ${errorMessage}.`];
  }
  await tellOnPremises(signup);
  return [200, 'done', `${signup.name || signup.email} is signed up.`];
}

async function handle(request, response, traceId) {
  const isSignUp = request.method === 'POST' && request.url === '/signup';
  let status, level, text;
  if (isSignUp) {
    try {
      [status, level, text] = await signUp(request);
    } catch (error) {
      console.error('the function was not called:', error.message);
      [status, level, text] = [502, 'error', 'The sign-up service is not there.'];
    }
  } else if (request.method === 'GET' && request.url === '/') {
    [status, level, text] = [200, 'done', ''];
  } else {
    [status, level, text] = [404, 'error', 'There is no such page.'];
  }
  if (request.headers.accept?.includes('json')) {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message: text, traceId }));
  } else {
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(page(level, text, traceId));
  }
}

const server = http.createServer((request, response) => {
  const segment = xray.middleware.traceRequestResponseCycle(request, response);
  const context = xray.getNamespace();
  context.bindEmitter(request);
  context.bindEmitter(response);
  context.run(() => {
    xray.setSegment(segment);
    handle(request, response, segment.trace_id);
  });
});

server.listen(Number(process.env.PORT || 8081), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
