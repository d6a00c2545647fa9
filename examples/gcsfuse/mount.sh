#!/bin/sh
# gcsfuse with a connection's token, renewed as long as the mount lasts: Google's library asks `token` by itself.
#
#   GOOGLE_APPLICATION_CREDENTIALS=storage-alice.json BUCKET=alices-bucket ./mount.sh /mnt/alice
#
# The file is what `token-refresh credentials storage-alice --token-url URL` prints. Give no --key-file: gcsfuse takes
# only service-account keys there. The connection needs the scope
# https://www.googleapis.com/auth/devstorage.read_only or wider. While its token is refused (401) reads fail with EIO, and
# work again when it is fresh.
set -eu
: "${GOOGLE_APPLICATION_CREDENTIALS:?the credential file}"
exec gcsfuse -o ro "$BUCKET" "$1"
