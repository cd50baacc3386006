// Loaded before a function's own code: starts Splunk's distribution of OpenTelemetry for it.
//
// In:   the environment that nodejs-otel-handler left.
// Out:  an instrumented process: the handler, aws-sdk, HTTP and sockets. Spans are sent before each answer, for the
//       instrumentation of Lambda flushes them.
'use strict';

const { AwsLambdaInstrumentation } = require('@opentelemetry/instrumentation-aws-lambda');
const { awsLambdaDetectorSync } = require('@opentelemetry/resource-detector-aws');
const { start } = require('@splunk/otel');
const { getInstrumentations } = require('@splunk/otel/lib/instrumentations');
const { version } = require('@splunk/otel/package.json');

start({
  metrics: false,
  profiling: false,
  resource: (found) => found.merge(awsLambdaDetectorSync.detect()),
  tracing: { instrumentations: [...getInstrumentations(), new AwsLambdaInstrumentation()] },
});

const name = process.env.OTEL_SERVICE_NAME;
console.log(`[splunk-extension-wrapper] OpenTelemetry is loaded: @splunk/otel ${version}, service ${name}`);
