#!/bin/sh
# A .netrc for git, curl and pip: the token as a password. Written anew by cron every five minutes, as a whole.
#
#   CONNECTION=github-bot HOST=github.com LOGIN=x-access-token ./netrc.sh
#
# On a 401 run it once more and try again; if the token is the same, the connection's newest event says why.
set -eu
umask 077
new=$(mktemp "$HOME/.netrc.XXXXXX")
trap 'rm -f "$new"' EXIT
token=$(gcloud secrets versions access latest --secret="$CONNECTION-access-token" | jq -er .access_token)
[ ! -f "$HOME/.netrc" ] || grep -v "^machine $HOST " "$HOME/.netrc" >"$new" || true
printf 'machine %s login %s password %s\n' "$HOST" "$LOGIN" "$token" >>"$new"
mv "$new" "$HOME/.netrc"
