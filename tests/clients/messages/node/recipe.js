// What the instrumentation of the AWS SDK for JavaScript sees of messages, and its spans do not say.
//
//     new AwsInstrumentation({ responseHook: require("./recipe.js") })
"use strict";

/** The id that the broker gave each message, 256 a span. */
module.exports = function answer(span, { response: { data, request } }) {
  const { MessageId, SequenceNumber, Messages, Successful, Records } = data ?? {};
  const ids = (list, name) => (list ?? []).map((item) => item[name] ?? "");
  const service = request.serviceName.toLowerCase();
  if (service === "kinesis" && (SequenceNumber || Records)) {
    // Of GetRecords only the stream's ARN is told.
    const { StreamName, StreamARN } = request.commandInput;
    span.setAttribute("aws.kinesis.stream_name", StreamName ?? StreamARN ?? "");
    span.setAttribute("aws.kinesis.sequence_number", SequenceNumber ?? ids(Records, "SequenceNumber"));
  } else if (service === "sns" && MessageId) {
    span.setAttribute("messaging.message.id", MessageId);
  } else if (service === "sqs" || service === "sns") {
    const name = request.commandName === "ReceiveMessage" ? "stitch.in" : "stitch.out";
    const known = ids(Messages ?? Successful, "MessageId").map((id) => `${service}|||${id}`);
    if (known.length) span.setAttribute(name, known);
  }
};
