#!/usr/bin/env bash
# roll.sh gateway|api-model: both replicas are made anew, of the present image and settings, one after the other: no
# more requests are given to one, it ends those it has, is replaced, and gets requests again when it is healthy.
set -euo pipefail
cd "$(dirname "$0")/../.."
case ${1:-} in
  gateway) door=proxy port=8001 ;;
  api-model) door=balancer port=8000 ;;
  *) echo "usage: roll.sh gateway|api-model" >&2; exit 2 ;;
esac
say() { echo "$(date +%T) $*" >&2; }
running=$(deploy/containers/compose ps --services --filter status=running)
grep -qx "$door" <<<"$running" || { say "$door does not run: nothing to roll"; exit 0; }
# nginx reads its configuration anew without losing a request; $1 changes it.
door() {
  deploy/containers/compose exec -T "$door" sh -c "sed '$1' /etc/nginx/nginx.conf >/tmp/nginx.conf && nginx -q -t -c /tmp/nginx.conf && nginx -c /tmp/nginx.conf -s reload"
}
health() { docker inspect --format '{{.State.Health.Status}}' "$(deploy/containers/compose ps -q "$1")"; }

trap 'door ""' EXIT
for replica in "$1" "$1-2"; do
  say "$replica gets no more requests"
  door "s/server $replica:$port .*/server $replica:$port down;/"
  sleep "${DRAIN_SECONDS:-5}"
  deploy/containers/compose up --detach --no-deps --force-recreate "$replica" 2>/dev/null
  until [ "$(health "$replica")" = healthy ]; do sleep 1; done
  door ""
  say "$replica is back"
done
