// Read a mailbox with the access token of a connection, without a line about tokens.
//
// Save the output of `token-refresh credentials gmail-alice --token-url URL` as a file and point to it:
//   export GOOGLE_APPLICATION_CREDENTIALS=gmail-alice.json
//
// The job's service account needs roles/secretmanager.secretAccessor on the secret gmail-alice-access-token.
//
// On a 401 the library asks `token` once more by itself, but only with forceRefreshOnFailure. If the answer is the same
// token, there is no newer one yet: let the job fail and run again, or ask for a refresh as refresh_handler.mjs does.
import {GoogleAuth} from 'google-auth-library';
import {google} from 'googleapis';

const auth = new GoogleAuth({
  scopes: ['https://www.googleapis.com/auth/gmail.readonly'],
  clientOptions: {forceRefreshOnFailure: true},
});
const gmail = google.gmail({version: 'v1', auth});
const {data} = await gmail.users.messages.list({userId: 'me', maxResults: 5});
for (const {id} of data.messages ?? []) {
  const message = await gmail.users.messages.get({userId: 'me', id, format: 'metadata', metadataHeaders: ['Subject']});
  console.log(message.data.payload.headers[0].value);
}
