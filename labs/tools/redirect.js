// Loaded before the sls command: makes it meet the front door instead of AWS.
//
// 1. Its aws-sdk v2 knows no AWS_ENDPOINT_URL, so it is told.
// 2. It prints method and path of an endpoint only behind https://, and the front door speaks http://.
'use strict';

const Module = require('module');

const endpoint = process.env.AWS_ENDPOINT_URL;
const load = Module._load;
const done = new Set();

function redirect(sdk) {
  sdk.config.update({ endpoint, s3ForcePathStyle: true });
}

function showWholeEndpoints(display) {
  const { displayEndpoints } = display;
  // It looks for https:// at the start; what stood there before tells ours from others.
  const asItIs = (text) => text.replace('https://http:', 'http:');
  display.displayEndpoints = function () {
    const { info } = this.gatheredData;
    const { serviceOutputs } = this.serverless;
    info.endpoints = info.endpoints.map((url) => url.replace(/^http:/, 'https://http:'));
    displayEndpoints.call(this);
    for (const name of ['endpoint', 'endpoints']) {
      const shown = serviceOutputs.get(name);
      if (shown !== undefined) serviceOutputs.set(name, Array.isArray(shown) ? shown.map(asItIs) : asItIs(shown));
    }
    info.endpoints = info.endpoints.map(asItIs);
  };
}

const isDisplay = (name, parent) => name === './display' && /plugins.aws.info/.test(parent?.filename);

Module._load = function (name, parent, isMain) {
  const loaded = load.call(this, name, parent, isMain);
  const change = name === 'aws-sdk' ? redirect : isDisplay(name, parent) ? showWholeEndpoints : undefined;
  if (endpoint && change && !done.has(change)) {
    done.add(change);
    change(loaded);
  }
  return loaded;
};
