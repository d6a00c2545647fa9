#!/bin/sh
# gcloud, gsutil and bq with the token of a connection that has Google Cloud scopes.
#
# gcloud wants a file that holds the token and nothing else: declare the connection with the annotation
# token-refresh.format=text. It does not read the file again within a command; run commands that end within ten minutes,
# or write the file anew before each. On a 401, write it anew once; if the token is the same, look at the status page.
#
#   CONNECTION=cloud-alice ./gcloud.sh secrets list --project=other-project
set -eu
umask 077
file=$(mktemp)
trap 'rm -f "$file"' EXIT
gcloud secrets versions access latest --secret="$CONNECTION-access-token" >"$file"
CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=$file gcloud "$@"
