// One function puts what it is told into a stream, the other says what it finds there.
const AWS = require("aws-sdk");

exports.producer = async (event) => {
  const stream = process.env.KINESIS_STREAM;
  const record = { StreamName: stream, PartitionKey: "one", Data: JSON.stringify(JSON.parse(event.body)) };
  const { SequenceNumber } = await new AWS.Kinesis().putRecord(record).promise();
  console.log(`put ${SequenceNumber}`);
  return { statusCode: 200, body: JSON.stringify({ message: `Message placed in the Event Stream: ${stream}` }) };
};

exports.consumer = async (event) => {
  for (const { kinesis } of event.Records) {
    console.log(`got ${kinesis.sequenceNumber} ${Buffer.from(kinesis.data, "base64")}`);
  }
};
