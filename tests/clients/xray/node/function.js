// A Lambda function with the X-Ray SDK for Node, in the environment that Lambda makes.
"use strict";
const xray = require("aws-xray-sdk-core");

const ids = {};
xray.captureFunc("outer", (outer) => {
  outer.addAnnotation("which", "outer");
  xray.captureFunc("inner", (inner) => {
    inner.addAnnotation("which", "inner");
    ids.inner = inner.id;
  });
  ids.outer = outer.id;
  ids.trace = outer.segment.trace_id;
});
console.log(JSON.stringify(ids));
