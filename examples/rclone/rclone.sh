#!/bin/sh
# rclone with a connection's token: the document is rclone's token as it stands (both are Go's oauth2.Token).
#
#   CONNECTION=drive-alice REMOTE=alice ./rclone.sh copy alice:reports /data
#
# rclone reads its configuration again when the token has run out, so a long copy goes on if this is run by cron meanwhile.
# Declare the remote once, without a client or refresh token of its own:
#
#   rclone config create alice drive scope=drive.readonly config_is_local=false token='{}' --non-interactive
#
# On a 401 run it again; if the token is the same, the connection's newest event says why.
set -eu
umask 077
document=$(gcloud secrets versions access latest --secret="$CONNECTION-access-token" | jq -ec .)
rclone config update "$REMOTE" token="$document" config_refresh_token=false --non-interactive >/dev/null
exec rclone "$@"
