// Lets `serverless` 3 work with the local cloud; the tool and its files stay as they are.
// Loaded by NODE_OPTIONS=--require, reads AWS_ENDPOINT_URL.
//
// Two things are missing in it: its AWS SDK (v2) does not know that variable, and it shows method and path
// of an endpoint only when its address begins with https.
const Module = require("node:module");
const load = Module._load;
const seen = new WeakSet();
const endpoint = process.env.AWS_ENDPOINT_URL;

Module._load = function (name, ...rest) {
  const loaded = load.call(this, name, ...rest);
  if (!endpoint || !loaded || typeof loaded !== "object" || seen.has(loaded)) return loaded;
  const isSdk = /^aws-sdk(\/global)?$|\/aws-sdk\/lib\/core$/.test(name);
  if (isSdk && loaded.config?.update) {
    seen.add(loaded);
    loaded.config.update({ endpoint, s3ForcePathStyle: true });
  } else if (/(^|\/)display$/.test(name) && typeof loaded.displayEndpoints === "function") {
    seen.add(loaded);
    loaded.displayEndpoints = withMethods(loaded.displayEndpoints);
  }
  return loaded;
};

/** Shows local addresses as it shows those of AWS: `POST - http://../dev/producer`. */
function withMethods(display) {
  return function (...args) {
    const info = this.gatheredData?.info;
    const local = info?.endpoints?.some((address) => address.startsWith(endpoint));
    if (!local) return display.apply(this, args);
    const disguised = endpoint.replace("http://", "https://");
    const before = info.endpoints;
    info.endpoints = before.map((address) => address.replace(endpoint, disguised));
    const result = display.apply(this, args);
    info.endpoints = before;
    const outputs = this.serverless.serviceOutputs;
    for (const section of ["endpoint", "endpoints"]) {
      const shown = outputs?.get(section);
      if (!shown) continue;
      const honest = (line) => line.replaceAll(disguised, endpoint);
      outputs.set(section, Array.isArray(shown) ? shown.map(honest) : honest(shown));
    }
    return result;
  };
}
