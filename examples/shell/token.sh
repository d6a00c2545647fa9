#!/bin/sh
# The access token of a connection with curl alone, on a machine in the cloud: no gcloud, no library.
#
#   TOKEN_URL=https://token-...run.app/token CONNECTION=gmail-alice ./token.sh
set -eu
caller=$(curl -sSf -H 'Metadata-Flavor: Google' \
    http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token | jq -er .access_token)
# From standard input, so that no token stands in the list of processes. An error is JSON, too: {"error": "..."}.
answer=$(printf %s "$caller" | curl -sS --data-urlencode subject_token@- \
    --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
    --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:access_token \
    --data-urlencode "audience=//token-refresh/connections/$CONNECTION" "$TOKEN_URL")
printf '%s\n' "$answer" | jq -er '.access_token // (.error + ": " + .error_description | halt_error(1))'
