#!/bin/sh
# Who you are on a laptop, in the form that Google's libraries want from an executable (AIP-4117). Put it on the PATH,
# name it in "credential_source": {"executable": {"command": "caller_token.sh", "timeout_millis": 30000}}, and
# export GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1. (`token-refresh credentials --for gcloud` writes such a file.)
set -eu
token=$(gcloud auth print-access-token)
# The protocol has no name for an access token: what it calls an ID token is passed on as it is.
printf '{"version": 1, "success": true, "token_type": "urn:ietf:params:oauth:token-type:id_token", "id_token": "%s"}\n' "$token"
