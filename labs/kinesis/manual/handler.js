// The Kinesis lab, manual variant: the trace context travels inside the record, so the trace stays whole.
'use strict';

const otelapi = require('@opentelemetry/api');
const otelcore = require('@opentelemetry/core');
const AWS = require('aws-sdk');
const { v4: uuid } = require('uuid');

const kinesis = new AWS.Kinesis();
const stream = process.env.STREAM_NAME;

// Both sides must speak the same format: with B3 here and W3C there, the trace breaks again.
const propagator = new otelcore.W3CTraceContextPropagator();

const answer = (statusCode, message) => ({ statusCode, body: JSON.stringify({ message }) });

/** The context of the span that runs now, as text fields. */
const carrierOfActiveSpan = () => {
  const carrier = {};
  propagator.inject(otelapi.context.active(), carrier, otelapi.defaultTextMapSetter);
  return carrier;
};

/** POST /producer: puts the request's body on the stream, in an envelope with the trace context. */
module.exports.producer = async (event) => {
  if (!event.body) {
    return answer(400, 'No body was found');
  }
  const data = `{"tracecontext": ${JSON.stringify(carrierOfActiveSpan())}, "record": ${event.body}}`;
  console.log(`Record with trace context: ${data}`);
  try {
    await kinesis.putRecord({ StreamName: stream, PartitionKey: uuid(), Data: data }).promise();
  } catch (error) {
    console.error(`The message was not placed in ${stream}:`, error);
    return answer(500, 'Internal server error');
  }
  return answer(200, `Message placed in the Event Stream: ${stream}`);
};

/** Takes a batch of the stream's records; each gets a span below its own producer's. */
module.exports.consumer = async (event) => {
  const tracer = otelapi.trace.getTracer(process.env.OTEL_SERVICE_NAME);
  for (const { kinesis: taken } of event.Records) {
    const message = Buffer.from(taken.data, 'base64').toString();
    let envelope;
    try {
      envelope = JSON.parse(message);
    } catch (error) {
      // One bad record must not hold up the shard: Lambda would try the batch again and again.
      console.error(`Record ${taken.sequenceNumber} is no JSON and is left out: ${message}`);
      continue;
    }
    const { tracecontext = {}, record = {} } = envelope;
    const parent = propagator.extract(otelapi.ROOT_CONTEXT, tracecontext, otelapi.defaultTextMapGetter);
    const span = tracer.startSpan('Kinesis.getRecord', undefined, parent);
    span.setAttribute('span.kind', 'server');
    if (record.name) {
      span.setAttribute('custom.tag.name', record.name);
    }
    if (record.superpower) {
      span.setAttribute('custom.tag.superpower', record.superpower);
    }
    console.log(`Record ${taken.sequenceNumber} taken from the stream: ${message}`);
    span.end();
  }
};
