#!/usr/bin/env bash
# Read a mailbox with a token that is read from Secret Manager; needs gcloud, curl and jq.
#
#   CONNECTION=gmail-alice REFRESH_TOPIC=token-refresh ./gmail.sh
#
# The job's service account needs roles/secretmanager.secretAccessor on the secret gmail-alice-access-token and, to ask
# for a refresh after a 401, roles/pubsub.publisher on the topic (leave REFRESH_TOPIC unset where it may not).
set -euo pipefail
api=https://gmail.googleapis.com/gmail/v1/users/me/messages
token=

read_token() { gcloud secrets versions access latest --secret="$CONNECTION-access-token" | jq -er .access_token; }

# Print the answer of a GET. After a 401 read once more; if it is the same token ask for another and wait; then fail.
get() {
    local answer status newest
    # By a file, so that the token stands in no list of processes.
    answer=$(curl -sS -w '\n%{http_code}' -H @<(printf 'Authorization: Bearer %s' "$token") "$1")
    status=${answer##*$'\n'}
    if [ "$status" = 401 ]; then
        newest=$(read_token)
        if [ "$newest" = "$token" ] && [ -n "${REFRESH_TOPIC:-}" ]; then
            gcloud pubsub topics publish "$REFRESH_TOPIC" --message="{\"connections\": [\"$CONNECTION\"], \"force\": true}" >&2
            for _ in {1..30}; do
                newest=$(read_token)
                [ "$newest" = "$token" ] || break
                sleep 2
            done
        fi
        if [ "$newest" = "$token" ]; then
            echo "The access token of $CONNECTION is refused and there is no newer one. The newest event about it on the" \
                "topic token-refresh-events says why and what to do; so does the status page." >&2
            return 1
        fi
        token=$newest
        answer=$(curl -sS -w '\n%{http_code}' -H @<(printf 'Authorization: Bearer %s' "$token") "$1")
        status=${answer##*$'\n'}
    fi
    printf '%s\n' "${answer%$'\n'*}"
    [ "$status" = 200 ]
}

token=$(read_token)
get "$api?maxResults=1" >/dev/null # a first call, outside of $( ), so that a newer token is kept
for id in $(get "$api?maxResults=5" | jq -r '.messages[]?.id'); do
    get "$api/$id?format=metadata&metadataHeaders=Subject" | jq -r '.payload.headers[0].value'
done
