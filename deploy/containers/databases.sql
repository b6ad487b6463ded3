-- A role for each service, and a database for each program that makes its own tables. Run by the PostgreSQL image when its
-- volume is empty, and by `make roles` on one that is not: it makes what lacks and sets the passwords. What a role may do
-- with the product's tables, `python -m gateway migrate` says, which runs as their owner.
\set ON_ERROR_STOP on
\set gateway `cat ${SECRETS:-/run/secrets}/PASSWORD_GATEWAY`
\set api_model `cat ${SECRETS:-/run/secrets}/PASSWORD_API_MODEL`
\set jobs `cat ${SECRETS:-/run/secrets}/PASSWORD_JOBS`
\set retention `cat ${SECRETS:-/run/secrets}/PASSWORD_RETENTION`
\set mlflow `cat ${SECRETS:-/run/secrets}/PASSWORD_MLFLOW`
\set airflow `cat ${SECRETS:-/run/secrets}/PASSWORD_AIRFLOW`

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['gateway', 'api_model', 'jobs', 'retention', 'mlflow', 'airflow']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE gateway PASSWORD :'gateway';
ALTER ROLE api_model PASSWORD :'api_model';
ALTER ROLE jobs PASSWORD :'jobs';
ALTER ROLE retention PASSWORD :'retention';
ALTER ROLE mlflow PASSWORD :'mlflow';
ALTER ROLE airflow PASSWORD :'airflow';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO gateway, api_model, jobs, retention;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

SELECT format('CREATE DATABASE %I', name) FROM unnest(ARRAY['mlflow', 'airflow']) AS name
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
REVOKE ALL ON DATABASE mlflow, airflow FROM PUBLIC;
ALTER DATABASE mlflow OWNER TO mlflow;
ALTER DATABASE airflow OWNER TO airflow;
-- What earlier versions, or a restore, made as somebody else.
\set of_another 'SELECT format(''ALTER TABLE %s OWNER TO %I'', oid::regclass, current_database()) FROM pg_class WHERE relnamespace = ''public''::regnamespace AND relkind = ''r'' UNION ALL SELECT format(''ALTER TYPE %s OWNER TO %I'', oid::regtype, current_database()) FROM pg_type WHERE typnamespace = ''public''::regnamespace AND typtype = ''e'' '
\connect mlflow
:of_another \gexec
\connect airflow
:of_another \gexec
