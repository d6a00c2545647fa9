// Preloaded into Node examples: Google's hosts on this machine. `HOSTS` maps https hosts to loopback URLs. The libraries
// are the real ones; only where a host's name leads is changed.
import http from 'node:http';
import https from 'node:https';
import {syncBuiltinESMExports} from 'node:module';

const hosts = JSON.parse(process.env.HOSTS);
const request = https.request;

https.request = (url, options, callback) => {
  const target = url instanceof URL || typeof url === 'string' ? new URL(url) : undefined;
  const base = target && hosts[target.hostname];
  if (!base) return request(url, options, callback);
  const {hostname, port} = new URL(base);
  const here = {...options, protocol: 'http:', hostname, host: hostname, port, agent: undefined};
  return http.request(new URL(target.pathname + target.search, base), here, callback);
};
syncBuiltinESMExports();

// Node's own fetch has no request() to turn.
const fetched = globalThis.fetch;
globalThis.fetch = (resource, init) => {
  const url = new URL(typeof resource === 'string' || resource instanceof URL ? resource : resource.url);
  const base = hosts[url.hostname];
  return fetched(base ? new URL(url.pathname + url.search, base) : resource, init);
};
