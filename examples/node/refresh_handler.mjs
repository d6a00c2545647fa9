// Read a mailbox with a token that is read from Secret Manager: google-auth-library asks for it whenever it needs one.
//
//   CONNECTION=gmail-alice REFRESH_TOPIC=token-refresh node refresh_handler.mjs
//
// The job's service account needs roles/secretmanager.secretAccessor on the secret gmail-alice-access-token and, to ask
// for a refresh after a 401, roles/pubsub.publisher on the topic (leave REFRESH_TOPIC unset where it may not).
import {setTimeout} from 'node:timers/promises';
import {GoogleAuth, OAuth2Client} from 'google-auth-library';
import {google} from 'googleapis';

const {CONNECTION, REFRESH_TOPIC} = process.env;
const job = new GoogleAuth({scopes: ['https://www.googleapis.com/auth/cloud-platform']});
const project = process.env.GOOGLE_CLOUD_PROJECT ?? (await job.getProjectId());
let last; // the token that was handed out before
let asked = 0;

async function read() {
  const name = `projects/${project}/secrets/${CONNECTION}-access-token/versions/latest`;
  const {data} = await job.request({url: `https://secretmanager.googleapis.com/v1/${name}:access`});
  return JSON.parse(Buffer.from(data.payload.data, 'base64'));
}

async function askForAnother() {
  if (REFRESH_TOPIC && Date.now() - asked > 60_000) {
    asked = Date.now();
    const message = Buffer.from(JSON.stringify({connections: [CONNECTION], force: true})).toString('base64');
    const url = `https://pubsub.googleapis.com/v1/projects/${project}/topics/${REFRESH_TOPIC}:publish`;
    await job.request({url, method: 'POST', data: {messages: [{data: message}]}});
    for (let n = 0; n < 30; n++) {
      const document = await read();
      if (document.access_token !== last) return document;
      await setTimeout(2000);
    }
  }
  throw new Error(
    `The access token of ${CONNECTION} is refused and there is no newer one. The newest event about ${CONNECTION} on ` +
      'the topic token-refresh-events says why and what to do; so does the status page.',
  );
}

// Without forceRefreshOnFailure a 401 or 403 is not tried again. It is tried once, and never for streams.
const auth = new OAuth2Client({forceRefreshOnFailure: true});
// The document is the answer: the library reads access_token and expiry_date. It asks when less than five minutes are
// left, at each request; so the same token is normal there, and a reason to ask for another only after a refusal.
auth.refreshHandler = async () => {
  let document = await read();
  const refused = document.access_token === last && document.expiry_date - Date.now() > 300_000;
  if (refused) document = await askForAnother();
  last = document.access_token;
  return document;
};

const gmail = google.gmail({version: 'v1', auth});
const {data} = await gmail.users.messages.list({userId: 'me', maxResults: 5});
for (const {id} of data.messages ?? []) {
  const message = await gmail.users.messages.get({userId: 'me', id, format: 'metadata', metadataHeaders: ['Subject']});
  console.log(message.data.payload.headers[0].value);
}
