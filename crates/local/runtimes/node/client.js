// Runs a Node function: asks the Runtime API for work, calls the handler, gives its answer.
//
// Rule: AWS Lambda developer guide, "Using the Lambda runtime API", "Define Lambda function handler in Node.js",
//       "Using the Lambda context object", "Log and monitor Node.js Lambda functions".
'use strict';

const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');
const { format } = require('util');
const { ask } = require('./first.js');

const JSON_TYPE = { 'content-type': 'application/json' };
const env = process.env;

/** The call that the process is at: its id, and what ends it. */
let current;

// Lambda's lines: time, id, level, text. A line feed within becomes a carriage return, so that it stays one event.
function say(level, text) {
  const line = `${new Date().toISOString()}\t${current ? current.id : undefined}\t${level}\t${text}`;
  process.stdout.write(`${line.replace(/\n/g, '\r')}\n`);
}

for (const [name, level] of [['log', 'INFO'], ['info', 'INFO'], ['warn', 'WARN'], ['error', 'ERROR'], ['debug', 'DEBUG'], ['trace', 'TRACE']]) {
  console[name] = (...values) => say(level, format(...values));
}

class RuntimeError extends Error {
  constructor(type, message, cause) {
    super(message);
    this.name = type;
    if (cause) this.stack = cause.stack;
  }
}

/** An error as Lambda gives it to the caller. */
function shape(error) {
  if (error instanceof Error) {
    return {
      errorType: error.name,
      errorMessage: error.message,
      trace: String(error.stack || '').split('\n'),
    };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

/** An error as Lambda logs it. */
function told(error) {
  const { errorType, errorMessage, trace } = shape(error);
  const extra = error instanceof Error ? { ...error } : {};
  delete extra.name;
  return JSON.stringify({ errorType, errorMessage, ...extra, stack: trace });
}

function isEsm(file) {
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type === 'module';
    } catch (error) {
      if (folder === path.dirname(folder) || path.basename(folder) === 'node_modules') return false;
    }
  }
}

async function loadModule(root, folder, name) {
  const file = path.resolve(root, folder, name);
  const isFile = (candidate) => fs.statSync(candidate, { throwIfNoEntry: false })?.isFile();
  if (isFile(file)) return require(file);
  if (isFile(`${file}.js`)) {
    return isEsm(`${file}.js`) ? import(pathToFileURL(`${file}.js`).href) : require(`${file}.js`);
  }
  if (isFile(`${file}.mjs`)) return import(pathToFileURL(`${file}.mjs`).href);
  if (isFile(`${file}.cjs`)) return require(`${file}.cjs`);
  return require(require.resolve(folder ? path.join(folder, name) : name, { paths: [root, path.join(root, folder)] }));
}

async function loadHandler() {
  const root = env.LAMBDA_TASK_ROOT;
  const full = env._HANDLER || '';
  const base = path.basename(full);
  const folder = full.slice(0, full.length - base.length);
  const parts = /^([^.]*)\.(.*)$/.exec(base);
  if (full.includes('..') || !parts) throw new RuntimeError('Runtime.MalformedHandlerName', 'Bad handler');
  const [, name, route] = parts;
  let loaded;
  try {
    loaded = await loadModule(root, folder, name);
  } catch (error) {
    if (error instanceof SyntaxError) throw new RuntimeError('Runtime.UserCodeSyntaxError', String(error), error);
    if (error && (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND')) {
      throw new RuntimeError('Runtime.ImportModuleError', String(error), error);
    }
    throw error;
  }
  const find = (from) => route.split('.').reduce((at, key) => (at === undefined || at === null ? undefined : at[key]), from);
  const handler = find(loaded) ?? find(loaded.default);
  if (handler === undefined || handler === null) {
    throw new RuntimeError('Runtime.HandlerNotFound', `${full} is undefined or not exported`);
  }
  if (typeof handler !== 'function') throw new RuntimeError('Runtime.HandlerNotFound', `${full} is not a function`);
  return handler;
}

/** Waits until what was written is out; more than a pipe holds is written later. */
function drained(stream) {
  return stream.writableLength > 0 ? new Promise((resolve) => stream.write('', () => resolve())) : undefined;
}

/** Gives an answer; if it cannot be sent, the Runtime API has told the caller why. */
async function answer(id, what, body) {
  await drained(process.stdout);
  await drained(process.stderr);
  await ask('POST', `invocation/${id}/${what}`, JSON_TYPE, body).catch(() => undefined);
}

async function fail(id, error) {
  say('ERROR', `Invoke Error \t${told(error)}`);
  await answer(id, 'error', JSON.stringify(shape(error)));
}

async function succeed(id, result) {
  let body;
  try {
    body = JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch (error) {
    await fail(id, new RuntimeError('Runtime.MarshalError', `Unable to stringify response body: ${error.message}`, error));
    return;
  }
  await answer(id, 'response', body);
}

function contextOf(headers, done, call) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const parse = (text) => (text ? JSON.parse(text) : undefined);
  return {
    get callbackWaitsForEmptyEventLoop() {
      return call.waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      call.waits = Boolean(value);
    },
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parse(headers['lambda-runtime-client-context']),
    identity: parse(headers['lambda-runtime-cognito-identity']),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
    succeed: (result) => done(null, result),
    fail: (error) => done(error === undefined || error === null ? 'handled' : error),
    done,
  };
}

/** Calls the handler; ends when there is an answer: a promise, a callback, or nothing left to wait for. */
function call(handler, event, headers) {
  const id = headers['lambda-runtime-aws-request-id'];
  return new Promise((resolve) => {
    const state = { id, waits: true };
    let isDone = false;
    const finish = (error, result) => {
      current.whenEmpty = undefined;
      (error === null || error === undefined ? succeed(id, result) : fail(id, error)).then(resolve);
    };
    const done = (error, result) => {
      if (isDone) return;
      isDone = true;
      if (state.waits) current.whenEmpty = () => finish(error, result);
      else finish(error, result);
    };
    current = {
      id,
      whenEmpty: () => {
        isDone = true;
        finish(null, null);
      },
    };
    const context = contextOf(headers, done, state);
    try {
      const returned = handler(event, context, done);
      if (returned && typeof returned.then === 'function') {
        const once = (error, result) => {
          if (isDone) return;
          isDone = true;
          finish(error, result);
        };
        returned.then((result) => once(null, result), (error) => once(error ?? new Error('undefined'), undefined));
      }
    } catch (error) {
      isDone = true;
      finish(error ?? new Error('undefined'), undefined);
    }
  });
}

process.on('beforeExit', () => {
  const { whenEmpty } = current || {};
  if (whenEmpty) whenEmpty();
});

/** What nobody caught ends the process, after its caller was told. */
async function uncaught(error, code) {
  say('ERROR', `Uncaught Exception \t${told(error)}`);
  const body = JSON.stringify(shape(error));
  if (current) await answer(current.id, 'error', body);
  else await ask('POST', 'init/error', JSON_TYPE, body).catch(() => undefined);
  process.exit(code);
}

process.on('uncaughtException', (error) => uncaught(error, 129));
process.on('unhandledRejection', (reason) => {
  const cause = reason instanceof Error ? reason : undefined;
  return uncaught(new RuntimeError('Runtime.UnhandledPromiseRejection', cause ? String(cause) : String(reason), cause), 128);
});

async function main() {
  let handler;
  try {
    handler = await loadHandler();
  } catch (error) {
    await uncaught(error, 1);
    return;
  }
  for (;;) {
    const { status, headers, body } = await ask('GET', 'invocation/next', {});
    if (status !== 200) process.exit(1);
    const trace = headers['lambda-runtime-trace-id'];
    if (trace) env._X_AMZN_TRACE_ID = trace;
    else delete env._X_AMZN_TRACE_ID;
    await call(handler, JSON.parse(body.toString('utf8')), headers);
  }
}

// The Runtime API is gone when the service is: then there is nothing to live for.
main().catch(() => process.exit(1));
