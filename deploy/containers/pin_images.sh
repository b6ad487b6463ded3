#!/usr/bin/env bash
# pin_images.sh: docker-compose.digests.yaml, an override by which a deployment takes the images that others make by their
# digests, as this machine's engine pulled them (docker compose pull first):
#   docker compose -f docker-compose.yaml -f docker-compose.digests.yaml up -d
# pin_images.sh REGISTRY TAG: the chart's values `images` with the digests of our own, once they are pushed.
set -euo pipefail
cd "$(dirname "$0")/../.."

# digest IMAGE: what the registry knows it by.
digest() {
  local found
  found=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" | head -n 1)
  [ -n "$found" ] || { echo "$1 has no digest: it was made here, or never pulled from a registry or pushed to one" >&2; return 1; }
  echo "sha256:${found##*@sha256:}"
}

if [ $# = 2 ]; then
  text="images:"$'\n'"  byDigest: true"$'\n'"  registry: $1"$'\n'"  tag: \"$2\""$'\n'"  digests:"
  for group in gateway api_model streamlit_app mlflow jobs_all; do
    known=$(digest "$1/$group:$2")
    text+=$'\n'"    $group: $known"
  done
  echo "$text"
  exit
fi
text="# Made by deploy/containers/pin_images.sh."$'\n'"version: \"3.8\""$'\n'"services:"
images=$(deploy/containers/compose --profile backup config | awk '
  /^[^ ]/ { section = $1 }
  section == "services:" && /^  [^ ]/ { service = $1 }
  section == "services:" && /^    image:/ && $2 !~ /^rain-tomorrow\// { print service, $2 }')
while read -r service image; do
  known=$(digest "$image")
  text+=$'\n'"  $service {image: \"${image%:*}@$known\"}"
done <<<"$images"
echo "$text" >docker-compose.digests.yaml
echo "made docker-compose.digests.yaml" >&2
