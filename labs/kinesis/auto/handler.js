// The Kinesis lab, automatic variant: two functions, not a word of tracing. The layer brings it.
'use strict';

const AWS = require('aws-sdk');
const { v4: uuid } = require('uuid');

const kinesis = new AWS.Kinesis();
const stream = process.env.STREAM_NAME;

const answer = (statusCode, message) => ({ statusCode, body: JSON.stringify({ message }) });

/** POST /producer: puts the request's body on the stream. */
module.exports.producer = async (event) => {
  if (!event.body) {
    return answer(400, 'No body was found');
  }
  try {
    await kinesis.putRecord({ StreamName: stream, PartitionKey: uuid(), Data: event.body }).promise();
  } catch (error) {
    console.error(`The message was not placed in ${stream}:`, error);
    return answer(500, 'Internal server error');
  }
  console.log(`Message placed in ${stream}: ${event.body}`);
  return answer(200, `Message placed in the Event Stream: ${stream}`);
};

/** Takes a batch of the stream's records. */
module.exports.consumer = async (event) => {
  for (const record of event.Records) {
    const message = Buffer.from(record.kinesis.data, 'base64').toString();
    console.log(`Message ${record.kinesis.sequenceNumber} taken from the stream: ${message}`);
  }
};
