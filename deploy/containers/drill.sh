#!/usr/bin/env bash
# drill.sh FOLDER: the restore drill. With everybody shut out it makes a backup in FOLDER, destroys every volume,
# restores, and compares the hash of each table and each file with what it was; then all starts again. Says how long each
# part took.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath -m "${1:?where the backup of the drill shall be}")
say() { echo "$(date +%T) $*" >&2; }
hashes() {
  local database
  for database in meteo airflow mlflow; do
    deploy/containers/compose exec -T postgres psql -U meteo -d "$database" -qAtX -v ON_ERROR_STOP=1 <<'SQL' | sed "s/^/$database /"
SELECT format('SELECT %L, count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM %I.%I t;', schemaname || '.' || tablename, schemaname, tablename)
FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1 \gexec
SQL
  done
  deploy/containers/compose run --rm -T --no-deps --entrypoint sh volumes -c \
    'cd /volumes && find . -type f ! -path "./console/*" ! -name "*.tmp" -exec sha256sum {} + | sort -k 2'
  deploy/containers/compose run --rm -T --no-deps console python -c 'import hashlib, sqlite3
rows = "".join(sqlite3.connect("/data/console.db").iterdump())
print("console.db", hashlib.sha256(rows.encode()).hexdigest())'
}

mapfile -t others < <(deploy/containers/compose ps --services --filter status=running | grep -vxE 'postgres|console')
say "shutting everybody out"
deploy/containers/compose stop "${others[@]}" 2>/dev/null
began=$SECONDS
deploy/containers/backup.sh "$folder"
say "backup: $((SECONDS - began)) s"
deploy/containers/compose stop console 2>/dev/null
hashes >"$folder.before"
say "destroying every volume"
deploy/containers/compose down --volumes --remove-orphans 2>/dev/null
began=$SECONDS
START=no deploy/containers/restore.sh "$folder"
say "restore: $((SECONDS - began)) s"
hashes >"$folder.after"
diff "$folder.before" "$folder.after"
say "$(grep -c . "$folder.after") tables and files are what they were"
began=$SECONDS
deploy/containers/compose up --detach 2>/dev/null
say "start: $((SECONDS - began)) s"
