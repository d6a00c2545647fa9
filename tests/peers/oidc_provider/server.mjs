// npm's oidc-provider as a peer in tests: single-use refresh tokens with reuse detection, and no grace period.
// Listens on loopback; the first line of its output is the issuer. `/control/<command>` takes and answers JSON.

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';

const SCOPES = ['openid', 'offline_access', 'email', 'profile', 'calendar', 'mail'];

const server = createServer();
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const calls = [];
const steady = new Set(); // clients whose refresh tokens do not rotate
const sha256 = (text) => (text ? createHash('sha256').update(text).digest('hex') : '');
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

const provider = new Provider(issuer, {
  scopes: SCOPES,
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username'] },
  conformIdTokenClaims: false,
  // Whoever signs in is the account of that name: the e-mail address is the subject.
  findAccount: (_ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, email: sub, email_verified: true, preferred_username: sub }),
  }),
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true },
    revocation: { enabled: true },
  },
  rotateRefreshToken: (ctx) => !steady.has(ctx.oidc.client.clientId),
  ttl: { AccessToken: 3600, ClientCredentials: 600, RefreshToken: 1209600, Grant: 1209600, Session: 86400, Interaction: 3600, IdToken: 3600 },
  cookies: { keys: [randomBytes(24).toString('hex')] },
  jwks: { keys: [{ ...rsa, kid: 'peer', alg: 'RS256', use: 'sig' }] },
});

function note(ctx, result) {
  const { params = {}, client } = ctx.oidc;
  calls.push({
    number: calls.length + 1,
    client_id: client?.clientId ?? '',
    grant_type: params.grant_type ?? '',
    refresh_token_sha256: sha256(params.refresh_token),
    issued_refresh_token_sha256: result === '200' ? sha256(ctx.body?.refresh_token) : '',
    result,
  });
}
provider.on('grant.success', (ctx) => note(ctx, '200'));
provider.on('grant.error', (ctx, error) => note(ctx, error.error ?? error.message));

async function look(value) {
  const token = await provider.RefreshToken.find(value, { ignoreExpiration: true });
  const grant = token && (await provider.Grant.find(token.grantId));
  return { token, grant };
}

const commands = {
  async client({ rotates_refresh_tokens: rotates = true, ...metadata }) {
    steady[rotates ? 'delete' : 'add'](metadata.client_id);
    await provider.Client.adapter.upsert(metadata.client_id, metadata);
    const client = await provider.Client.find(metadata.client_id);
    return { client_id: client.clientId };
  },
  async grant({ client_id, account, scope, jkt }) {
    const client = await provider.Client.find(client_id);
    if (!client) throw new Error('no such client');
    const grant = new provider.Grant({ accountId: account, clientId: client_id });
    grant.addOIDCScope(scope);
    const grantId = await grant.save();
    const token = new provider.RefreshToken({ accountId: account, client, grantId, scope, gty: 'authorization_code', jkt });
    return { refresh_token: await token.save(), scope, sub: account };
  },
  async revoke({ refresh_token }) {
    const { token, grant } = await look(refresh_token);
    if (token) await provider.RefreshToken.revokeByGrantId(token.grantId);
    if (grant) await grant.destroy();
    return {};
  },
  async look({ refresh_token }) {
    const { token, grant } = await look(refresh_token);
    return { known: Boolean(token), alive: Boolean(token?.isValid && grant), grant_alive: Boolean(grant) };
  },
  async calls({ clear = false }) {
    return { calls: clear ? calls.splice(0) : calls };
  },
};

async function control(request, response) {
  const answer = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const command = commands[request.url.slice('/control/'.length)];
  if (!command || request.method !== 'POST' || request.headers['content-type'] !== 'application/json') {
    answer(404, { error: `POST application/json to one of ${Object.keys(commands)}` });
    return;
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  try {
    answer(200, await command(JSON.parse(Buffer.concat(chunks).toString() || '{}')));
  } catch (error) {
    answer(400, { error: error.error_description ?? error.message });
  }
}

const oauth = provider.callback();
server.on('request', (request, response) =>
  request.url.startsWith('/control/') ? control(request, response) : oauth(request, response),
);
console.log(issuer);
