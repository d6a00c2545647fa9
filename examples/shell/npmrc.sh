#!/bin/sh
# An .npmrc for a registry that takes OAuth tokens (Artifact Registry with a person's grant, GitHub Packages).
#
#   CONNECTION=packages-bot REGISTRY=europe-npm.pkg.dev/my-project/my-repository ./npmrc.sh
#
# On a 401 (E401) run it once more and try again; if the token is the same, the connection's newest event says why.
set -eu
umask 077
new=$(mktemp "$HOME/.npmrc.XXXXXX")
trap 'rm -f "$new"' EXIT
token=$(gcloud secrets versions access latest --secret="$CONNECTION-access-token" | jq -er .access_token)
[ ! -f "$HOME/.npmrc" ] || grep -vF "//$REGISTRY/:_authToken=" "$HOME/.npmrc" >"$new" || true
printf '//%s/:_authToken=%s\n' "$REGISTRY" "$token" >>"$new"
mv "$new" "$HOME/.npmrc"
