// Sends the known spans through Splunk's distribution, which node loads first with -r and which
// reads its settings from the environment, as the Lambda layer's users set them.
"use strict";
const { trace } = require("@opentelemetry/api");
require("./spans")();
// The distribution flushes on a timer only: ask for it, so that the test need not wait.
trace
  .getTracerProvider()
  .getDelegate()
  .forceFlush()
  .then(() => process.exit(0))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
