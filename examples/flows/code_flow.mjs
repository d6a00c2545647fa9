// The authorization-code flow in Node, done right: one use of the code, PKCE, state, and a refresh token that comes.
//
//   node code_flow.mjs client_secret.json https://www.googleapis.com/auth/gmail.readonly refresh_token.txt
//
// The client's redirect URI must be http://127.0.0.1:PORT/callback, to the letter (PORT=8080 if unset).
import {randomBytes} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {CodeChallengeMethod, OAuth2Client} from 'google-auth-library';

const [clientFile, scope, tokenFile] = process.argv.slice(2);
const document = JSON.parse(readFileSync(clientFile));
const registered = document.web ?? document.installed;
const port = process.env.PORT ?? 8080;
const redirectUri = `http://127.0.0.1:${port}/callback`;
const client = new OAuth2Client({
  clientId: registered.client_id,
  clientSecret: registered.client_secret,
  redirectUri, // in both requests, the same
  endpoints: {oauth2AuthBaseUrl: registered.auth_uri, oauth2TokenUrl: registered.token_uri},
});

const {codeVerifier, codeChallenge} = await client.generateCodeVerifierAsync();
const state = randomBytes(16).toString('base64url');
const url = client.generateAuthUrl({
  scope,
  state,
  code_challenge: codeChallenge,
  code_challenge_method: CodeChallengeMethod.S256,
  access_type: 'offline', // else there is no refresh token at all
  prompt: 'consent', // else there is one only the first time
});

let used = false;
const server = createServer(async (request, response) => {
  const query = new URL(request.url, redirectUri).searchParams; // decodes %2F: the code is sent as it was issued
  const finish = (status, text) => response.writeHead(status, {'Content-Type': 'text/plain'}).end(`${text}\n`);
  if (!request.url.startsWith('/callback')) return finish(404, 'not here');
  if (query.get('state') !== state) return finish(403, 'this answer belongs to another request');
  if (query.get('error')) return end(finish, 400, query.get('error'));
  // Browsers ask twice (prefetch, reload), and a code that is sent twice kills what the first use brought.
  if (used) return finish(200, 'already done');
  used = true;
  try {
    const {tokens} = await client.getToken({code: query.get('code'), codeVerifier});
    if (!tokens.refresh_token) return end(finish, 500, 'no refresh token: revoke the old consent and try again');
    writeFileSync(tokenFile, tokens.refresh_token, {mode: 0o600});
    end(finish, 200, 'Done, you may close this page.');
  } catch (fault) {
    // Once: a code lives minutes and has one use, so the way out of invalid_grant is a new consent, not another try.
    end(finish, 502, fault.response?.data?.error ?? 'the provider did not answer');
  }
});

function end(finish, status, text) {
  finish(status, text);
  server.close();
  process.exitCode = status === 200 ? 0 : 1;
  if (status !== 200) console.error(text);
}

server.listen(port, '127.0.0.1', () => console.log(`Open ${url}`));
