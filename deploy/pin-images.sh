#!/bin/sh
# Pins every image of the Dockerfile and of docker-compose.yml to the digest that its tag has now: name:tag@sha256:...
# To renew, change the tags as needed and run it again. Needs docker with buildx.
set -eu
cd "$(dirname "$0")/.."
for file in deploy/Dockerfile docker-compose.yml; do
    sed -n -E 's/^(FROM|    image:) ([a-z][a-z0-9./-]*:[^@ ]+)(@sha256:[0-9a-f]+)?( AS .*)?$/\2/p' "$file" |
        grep -v '^throughline:' | sort -u | while read -r image; do
            digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
            sed -i.bak -E "s#($image)(@sha256:[0-9a-f]+)?( |\$)#\\1@$digest\\3#" "$file"
            rm "$file.bak"
            echo "$file: $image@$digest"
        done
done
